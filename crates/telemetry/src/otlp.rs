//! The address of a trace collector, as people write it in `OTEL_EXPORTER_OTLP_ENDPOINT`.

use crate::Error;

/// The port of OTLP over gRPC.
const DEFAULT_PORT: u16 = 4317;

/// The forms [`parse_otlp_endpoint`] takes, worded to follow "it must be".
pub const ACCEPTED_ENDPOINTS: &str = "host:port, http://host:port or https://host:port, without path or credentials";

/// Where traces are sent, by OTLP over gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Always `scheme://host:port`, with scheme `http` or `https`.
    pub endpoint: String,
}

/// Reads an endpoint: `host:port`, `http://host:port` or `https://host:port`. With a scheme the port may be left out and
/// is 4317; a word alone is more likely a mistake than a host.
///
/// A written scheme wins. Without one, `insecure` decides: `Some(false)` means https, otherwise http.
///
/// # Errors
/// Any other form; the error does not repeat the value.
pub fn parse_otlp_endpoint(endpoint: &str, insecure: Option<bool>) -> Result<OtlpConfig, Error> {
    let refused = || Error::Endpoint { accepted: ACCEPTED_ENDPOINTS };
    let (scheme, authority, default_port) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest, Some(DEFAULT_PORT)),
        None if insecure == Some(false) => ("https".to_owned(), endpoint, None),
        None => ("http".to_owned(), endpoint, None),
    };
    if scheme != "http" && scheme != "https" {
        return Err(refused());
    }
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = split_port(authority).ok_or_else(refused)?;
    let port = port.or(default_port).ok_or_else(refused)?;
    if !is_host(host) {
        return Err(refused());
    }
    Ok(OtlpConfig { endpoint: format!("{scheme}://{host}:{port}") })
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; the brackets stay with the host.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_host = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_host..].find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(after_host + colon);
            let digits = Some(&port[1..]).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
            let port = digits.parse().ok().filter(|port| *port != 0)?;
            Some((host, Some(port)))
        }
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_forms_become_scheme_host_port() {
        let table = [
            ("otel:4317", None, "http://otel:4317"),
            ("otel:4317", Some(true), "http://otel:4317"),
            ("otel:4317", Some(false), "https://otel:4317"),
            ("http://otel:4317", None, "http://otel:4317"),
            ("http://otel:4317", Some(false), "http://otel:4317"),
            ("https://otel.example.com:443/", Some(true), "https://otel.example.com:443"),
            ("HTTP://otel", None, "http://otel:4317"),
            ("10.0.0.7:4317", None, "http://10.0.0.7:4317"),
            ("https://10.0.0.7/", None, "https://10.0.0.7:4317"),
            ("[::1]:9", None, "http://[::1]:9"),
            ("http://[::1]", None, "http://[::1]:4317"),
        ];
        for (given, insecure, expected) in table {
            let parsed = parse_otlp_endpoint(given, insecure).unwrap();
            assert_eq!(parsed.endpoint, expected, "{given} with insecure {insecure:?}");
        }
    }

    #[test]
    fn other_forms_are_refused_without_repeating_them() {
        let refused = [
            "",
            "nonsense",
            "10.0.0.7",
            "[::1]",
            "false",
            "otel/",
            "http://",
            "http:///",
            "http:///path",
            "http://:4317",
            "http:otel:4317",
            "otel: 4317",
            " otel:4317",
            "otel:4317\n",
            "otel:+4317",
            "b\u{fc}cher:4317",
            "http://otel:4317#x",
            ":4317",
            "otel:",
            "otel:0",
            "otel:70000",
            "otel:4317:1",
            "ftp://otel:4317",
            "http://otel:4317/v1/traces",
            "http://user:secret@otel:4317",
            "::1",
            "[::1",
            "o tel:1",
            "otel:4317?x",
        ];
        for given in refused {
            let error = parse_otlp_endpoint(given, None).unwrap_err().to_string();
            assert!(error.contains("must be host:port"), "{given}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
