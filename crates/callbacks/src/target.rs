//! Where a callback goes: a URL as customers may register it.

use std::{fmt, net::IpAddr};

use url::{Host, ParseError, Url};

use crate::addresses::{Allowed, RefusedAddress};

/// Longest URL, in bytes, both as it was given and as it is kept.
const MAX_BYTES: usize = 2048;

/// What is wrong with a URL, in words for its customer. The URL is not repeated, as it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is none, or a relative one.
    #[error("url must be a whole URL such as https://example.com/callbacks")]
    Malformed,
    /// It is too long.
    #[error("url must have at most {MAX_BYTES} bytes")]
    TooLong,
    /// It is not https, where it has to be.
    #[error("url must be https")]
    NotHttps,
    /// It is not even http, where that would do.
    #[error("url must be https or http")]
    NotHttp,
    /// There is no host.
    #[error("url must have a host")]
    NoHost,
    /// There is a user or a password.
    #[error("url must not have a user or a password")]
    UserInfo,
    /// The port is 0, on which nothing listens.
    #[error("url must not have port 0")]
    PortZero,
    /// There is a fragment, which would not be sent.
    #[error("url must not have a fragment, which begins with #")]
    Fragment,
}

/// A URL that callbacks can be sent to: `https` with a host, without user, password and fragment. Whether they may be sent to where
/// its host leads is another question, see [`Self::check_literal`] and [`crate::Resolver::check_host`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CallbackUrl(Url);

impl CallbackUrl {
    /// The URL of this text, in the normal form of the WHATWG's URL standard. With `allow_http` it may be `http` too.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::EmptyHost => UrlError::NoHost,
            _ => UrlError::Malformed,
        })?;
        match fault(&url, allow_http) {
            None => Ok(Self(url)),
            Some(error) => Err(error),
        }
    }

    /// The whole URL. It may hold a secret: not for logs.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host: a name in its ASCII form, or an address, in brackets where it is one of IPv6.
    pub fn host(&self) -> &str {
        self.0.host_str().expect("a callback's URL has a host")
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> Origin {
        Origin(self.0.origin())
    }

    /// Refuses a host that is an address to which callbacks may not go, in whatever way it was written. Names pass: what
    /// counts is where they lead whenever we connect.
    ///
    /// # Errors
    /// The refused address.
    pub fn check_literal(&self, allowed: &Allowed) -> Result<(), RefusedAddress> {
        self.literal().map_or(Ok(()), |address| allowed.check(address))
    }

    /// The host where it is an address.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// What a client asks for.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for CallbackUrl {
    /// The origin alone, as path and query may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl({})", self.origin())
    }
}

/// Scheme, host and port of a URL; equal for URLs of the same server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(url::Origin);

impl fmt::Display for Origin {
    /// As in `https://example.com:8443`, without a port that goes without saying.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.ascii_serialization())
    }
}

/// What is wrong with a URL that is one.
fn fault(url: &Url, allow_http: bool) -> Option<UrlError> {
    let faults = [
        (!allow_http && url.scheme() != "https", UrlError::NotHttps),
        (allow_http && !matches!(url.scheme(), "https" | "http"), UrlError::NotHttp),
        (url.host().is_none(), UrlError::NoHost),
        (!url.username().is_empty() || url.password().is_some(), UrlError::UserInfo),
        (url.port() == Some(0), UrlError::PortZero),
        (url.fragment().is_some(), UrlError::Fragment),
        // Normalised, it may be up to three times as long.
        (url.as_str().len() > MAX_BYTES, UrlError::TooLong),
    ];
    faults.into_iter().find_map(|(is_wrong, error)| is_wrong.then_some(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> CallbackUrl {
        CallbackUrl::parse(text, true).expect(text)
    }

    #[test]
    fn a_url_is_kept_in_its_normal_form() {
        for (text, kept) in [
            ("https://example.com", "https://example.com/"),
            (" HTTPS://EXAMPLE.com:443/A/../b?x=%20 ", "https://example.com/b?x=%20"),
            ("https://example.com:8443/cb?token=s#".trim_end_matches('#'), "https://example.com:8443/cb?token=s"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https:\\\\example.com\\x", "https://example.com/x"),
            ("https://[2606:4700::0:1111]/", "https://[2606:4700::1111]/"),
            ("https://localhost/", "https://localhost/"),
        ] {
            assert_eq!(CallbackUrl::parse(text, false).map(|url| url.as_str().to_owned()), Ok(kept.to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, error) in [
            ("", UrlError::Malformed),
            ("/callbacks", UrlError::Malformed),
            ("example.com/callbacks", UrlError::Malformed),
            ("https://exa mple.com/", UrlError::Malformed),
            ("https://256.1.1.1/", UrlError::Malformed),
            ("https://example.com:65536/", UrlError::Malformed),
            ("https://[fe80::1%25eth0]/", UrlError::Malformed),
            ("http://example.com/", UrlError::NotHttps),
            ("ftp://example.com/", UrlError::NotHttps),
            ("file:///etc/passwd", UrlError::NotHttps),
            ("gopher://example.com:25/x", UrlError::NotHttps),
            ("mailto:a@example.com", UrlError::NotHttps),
            ("https://", UrlError::NoHost),
            ("https://:443/", UrlError::NoHost),
            ("https://user@/", UrlError::NoHost),
            ("https://user@example.com/", UrlError::UserInfo),
            ("https://:password@example.com/", UrlError::UserInfo),
            ("https://example.com@127.0.0.1/", UrlError::UserInfo),
            ("https://example.com:0/", UrlError::PortZero),
            ("https://example.com/#", UrlError::Fragment),
            ("https://example.com/#x", UrlError::Fragment),
        ] {
            assert_eq!(CallbackUrl::parse(text, false), Err(error), "{text}");
        }
        assert_eq!(CallbackUrl::parse("ftp://example.com/", true), Err(UrlError::NotHttp));
        assert_eq!(parse("http://example.com:80/x").as_str(), "http://example.com/x");
    }

    #[test]
    fn a_url_has_at_most_2048_bytes_both_ways() {
        let of = |filler: &str, count| format!("https://example.com/{}", filler.repeat(count));
        assert_eq!(parse(&of("x", 2028)).as_str().len(), 2048);
        for long in [of("x", 2029), of("ü", 1014), of("ü", 500), format!("{:2049}", "https://example.com")] {
            assert_eq!(CallbackUrl::parse(&long, false), Err(UrlError::TooLong), "{}", long.len());
        }
    }

    #[test]
    fn an_address_is_refused_in_every_spelling() {
        let (none, local) = (Allowed::default(), "127.0.0.0/8".parse().expect("a network"));
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "2130706433",
            "017700000001",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.0x1",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
            "127。0。0。1",
            "[::ffff:7f00:1]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:0001]",
        ] {
            let url = parse(&format!("https://{host}/"));
            assert!(url.check_literal(&none).is_err(), "{host}");
            assert!(url.check_literal(&local).is_ok(), "{host}");
        }
        for host in
            ["0", "0.0.0.0", "[::]", "[::1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254", "0xa9fea9fe"]
        {
            let url = parse(&format!("https://{host}/"));
            assert!(url.check_literal(&none).is_err() && url.check_literal(&local).is_err(), "{host}");
        }
        for host in ["8.8.8.8", "134744072", "[2606:4700::1111]", "localhost", "a.internal", "127.0.0.1.example.com"] {
            assert!(parse(&format!("https://{host}/")).check_literal(&none).is_ok(), "{host}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = parse("https://example.com/a?b").origin();
        assert_eq!(origin.to_string(), "https://example.com");
        assert_eq!(origin, parse("https://EXAMPLE.com:443/other").origin());
        for other in ["http://example.com/a?b", "https://example.com:444/a?b", "https://www.example.com/a?b"] {
            assert_ne!(origin, parse(other).origin(), "{other}");
        }
    }

    #[test]
    fn path_and_query_are_shown_to_nobody() {
        let url = parse("https://example.com:8443/secret?token=secret");
        assert_eq!(format!("{url:?}"), "CallbackUrl(https://example.com:8443)");
        assert!(!format!("{:?}", url.origin()).contains("secret"));
        assert_eq!((url.host(), parse("https://[2606:4700::1111]/").host()), ("example.com", "[2606:4700::1111]"));
    }
}
