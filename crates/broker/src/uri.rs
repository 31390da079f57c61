//! The broker's URI: `amqp://user:password@host:port/vhost`, `amqps://` with certificate checks.
//!
//! Parsed here and not by amqprs, which keeps percent-encoding (`%2f`) as it is and panics on an odd query.

use std::path::{Path, PathBuf};

use amqprs::{connection::OpenConnectionArguments, security::SecurityCredentials, tls::TlsAdaptor};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::Error;

/// Virtual hosts travel as AMQP short strings.
const LONGEST_VHOST: usize = 255;

/// Everything the URI says; credentials stay secret until the connection arguments are made.
#[derive(Debug)]
struct Parts {
    host: String,
    port: u16,
    vhost: String,
    user: String,
    password: SecretString,
    tls: Option<Tls>,
}

#[derive(Debug, PartialEq, Eq)]
struct Tls {
    /// PEM file of a private CA; `None` trusts the public ones.
    ca_file: Option<PathBuf>,
}

/// Parses `uri` into the arguments for opening connections.
pub(crate) fn connection_arguments(uri: &SecretString) -> Result<OpenConnectionArguments, Error> {
    let parts = parse(uri)?;
    let mut arguments =
        OpenConnectionArguments::new(&parts.host, parts.port, &parts.user, parts.password.expose_secret());
    arguments.virtual_host(&parts.vhost);
    arguments.credentials(SecurityCredentials::new_plain(&parts.user, parts.password.expose_secret()));
    if let Some(tls) = &parts.tls {
        arguments.scheme("amqps").tls_adaptor(tls_adaptor(tls, &parts.host)?);
    }
    Ok(arguments)
}

fn parse(uri: &SecretString) -> Result<Parts, Error> {
    let url = Url::parse(uri.expose_secret().trim()).map_err(|problem| Error::uri(problem.to_string()))?;
    let (secure, default_port) = match url.scheme() {
        "amqp" => (false, 5672),
        "amqps" => (true, 5671),
        _ => return Err(Error::uri("the scheme is neither amqp nor amqps")),
    };
    let host = match url.host_str() {
        Some(host) if !host.is_empty() => decoded("host", host)?,
        _ => return Err(Error::uri("there is no host")),
    };
    let (user, password) = credentials(&url)?;
    Ok(Parts {
        host,
        port: url.port().unwrap_or(default_port),
        vhost: vhost(url.path())?,
        user,
        password,
        tls: secure.then(|| Tls { ca_file: ca_file(&url) }),
    })
}

/// A URI without any credentials means the broker's default user, as in every other client.
fn credentials(url: &Url) -> Result<(String, SecretString), Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(("guest".to_owned(), SecretString::from("guest")));
    }
    let password = decoded("password", url.password().unwrap_or_default())?;
    Ok((decoded("user", url.username())?, SecretString::from(password)))
}

/// No path and `/` both mean the default virtual host `/`, which may also be written `%2f`.
fn vhost(path: &str) -> Result<String, Error> {
    let vhost = decoded("virtual host", path.strip_prefix('/').unwrap_or(path))?;
    if vhost.len() > LONGEST_VHOST {
        return Err(Error::uri("the virtual host is longer than 255 bytes"));
    }
    Ok(if vhost.is_empty() { "/".to_owned() } else { vhost })
}

fn ca_file(url: &Url) -> Option<PathBuf> {
    for (name, _) in url.query_pairs().filter(|(name, _)| name != "cacertfile") {
        tracing::warn!(parameter = %name, "ignoring a parameter of the broker uri; only cacertfile is known");
    }
    url.query_pairs().find(|(name, _)| name == "cacertfile").map(|(_, file)| PathBuf::from(file.as_ref()))
}

/// Undoes percent-encoding (RFC 3986: a `+` is a plus).
fn decoded(part: &'static str, text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Error::uri(format!("the {part} has a % that is not followed by two hexadecimal digits")));
        };
        bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
    }
    String::from_utf8(bytes).map_err(|_| Error::uri(format!("the {part} is not UTF-8")))
}

fn tls_adaptor(tls: &Tls, host: &str) -> Result<TlsAdaptor, Error> {
    if let Some(file) = &tls.ca_file {
        check_certificates(file)?;
    }
    // rustls wants one provider chosen per process; if the binary has chosen already, that choice stays.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _lost_a_race_to_the_same_choice = rustls::crypto::ring::default_provider().install_default();
    }
    let name_in_certificate = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    TlsAdaptor::without_client_auth(tls.ca_file.as_deref(), name_in_certificate).map_err(Error::Tls)
}

/// amqprs panics on a certificate it cannot use, and trusts nobody when the file is empty: look first.
fn check_certificates(file: &Path) -> Result<(), Error> {
    let unusable = |problem: String| Error::CaCertificate { path: file.to_owned(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there are none".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn parts(uri: &str) -> Parts {
        parse(&SecretString::from(uri)).expect("a valid uri")
    }

    fn problem(uri: &str) -> String {
        connection_arguments(&SecretString::from(uri)).err().expect("a uri to be refused").to_string()
    }

    #[test]
    fn defaults_fill_what_is_left_out() {
        let short = parts("amqp://rabbit");
        assert_eq!((short.host.as_str(), short.port, short.vhost.as_str()), ("rabbit", 5672, "/"));
        assert_eq!((short.user.as_str(), short.password.expose_secret()), ("guest", "guest"));
        assert_eq!(short.tls, None);
        assert_eq!(parts("amqps://rabbit").port, 5671);
        assert_eq!(parts("amqps://rabbit").tls, Some(Tls { ca_file: None }));
    }

    #[test]
    fn every_part_is_read_and_decoded() {
        let full = parts("amqp://us%40er:p%2Fa+s%25s@10.0.0.7:5673/%2fteam");
        assert_eq!((full.host.as_str(), full.port, full.vhost.as_str()), ("10.0.0.7", 5673, "/team"));
        assert_eq!((full.user.as_str(), full.password.expose_secret()), ("us@er", "p/a+s%s"));
        assert_eq!(parts("amqp://h/%2f").vhost, "/");
        assert_eq!(parts("amqp://h/").vhost, "/");
        assert_eq!(parts("amqp://h/app").vhost, "app");
        assert_eq!(parts("amqp://[::1]:5672").host, "[::1]");
        let own_ca = parts("amqps://h/?verify=verify_peer&cacertfile=/etc/ca.pem");
        assert_eq!(own_ca.tls, Some(Tls { ca_file: Some("/etc/ca.pem".into()) }));
    }

    #[test]
    fn a_user_without_a_password_has_an_empty_one() {
        assert_eq!(parts("amqp://app@h").password.expose_secret(), "");
    }

    #[test]
    fn unusable_uris_are_refused_without_showing_the_password() {
        for uri in [
            "",
            "rabbit",
            "http://u:hunter2@h",
            "amqp://",
            "amqp://u:hunter2@",
            "amqp://u:hunter2@h:70000",
            "amqp://u:hunter2%zz@h",
            "amqp://u:hunter2%ff@h",
            "amqp://u:hunter2@h/%",
            &format!("amqp://u:hunter2@h/{}", "v".repeat(256)),
        ] {
            let problem = problem(uri);
            assert!(!problem.contains("hunter2"), "{problem}");
            assert!(problem.starts_with("cannot parse the broker uri: "), "{problem}");
        }
    }

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"not a certificate").expect("written");
        let problem = problem(&format!("amqps://u:hunter2@h/?cacertfile={}", file.path().display()));
        assert!(problem.contains("there are none") && !problem.contains("hunter2"), "{problem}");
        assert!(super::tests::problem("amqps://h/?cacertfile=/nowhere/ca.pem").contains("/nowhere/ca.pem"));
    }

    #[test]
    fn tls_is_set_up_with_the_public_authorities() {
        let arguments = connection_arguments(&SecretString::from("amqps://broker.example")).expect("a valid uri");
        assert!(arguments.get_tls_adaptor().is_some());
        assert_eq!(arguments.get_port(), 5671);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(amqps?://)?\\PC{0,60}") {
            let _outcome = parse(&SecretString::from(text));
        }

        #[test]
        fn any_password_survives_encoding(password in "\\PC{1,30}") {
            let encoded = password.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"));
            let parsed = parts(&format!("amqp://u:{encoded}@h"));
            prop_assert_eq!(parsed.password.expose_secret(), password);
        }
    }
}
