//! The broker's URI: `amqp://user:password@host:port/vhost`, `amqps://` with certificate checks.
//!
//! Parsed here and not by amqprs, which keeps percent-encoding (`%2f`) as it is and panics on an odd query.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use amqprs::{connection::OpenConnectionArguments, security::SecurityCredentials, tls::TlsAdaptor};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::Error;

/// Virtual hosts travel as AMQP short strings.
const LONGEST_VHOST: usize = 255;

/// Where the broker is and how to log in there; the password stays secret until a connection is made.
pub(crate) struct Server {
    /// An IPv6 address has its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) vhost: String,
    pub(crate) user: String,
    pub(crate) password: SecretString,
    pub(crate) tls: Option<Tls>,
}

/// How to check who answers.
pub(crate) struct Tls {
    pub(crate) connector: TlsConnector,
    /// What the certificate must be for.
    pub(crate) name: ServerName<'static>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address()).field("vhost", &self.vhost).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the URI, and the certificates that it names.
    pub(crate) fn parse(uri: &SecretString) -> Result<Self, Error> {
        let Parts { host, port, vhost, user, password, authorities } = parse(uri)?;
        let tls = authorities.map(|authorities| tls(&authorities, &host)).transpose()?;
        Ok(Self { host, port, vhost, user, password, tls })
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The arguments for opening a connection.
    pub(crate) fn arguments(&self) -> OpenConnectionArguments {
        let password = self.password.expose_secret();
        let mut arguments = OpenConnectionArguments::new(&self.host, self.port, &self.user, password);
        arguments.virtual_host(&self.vhost);
        arguments.credentials(SecurityCredentials::new_plain(&self.user, password));
        if let Some(tls) = &self.tls {
            let name = tls.name.to_str().into_owned();
            arguments.scheme("amqps").tls_adaptor(TlsAdaptor::new(tls.connector.clone(), name));
        }
        arguments
    }
}

/// Whether the URI can be used; the certificates that it names are read later.
pub(crate) fn check(uri: &SecretString) -> Result<(), Error> {
    parse(uri).map(drop)
}

/// Everything the URI says.
#[derive(Debug)]
struct Parts {
    host: String,
    port: u16,
    vhost: String,
    user: String,
    password: SecretString,
    /// Set for TLS.
    authorities: Option<Authorities>,
}

/// Who may have signed the broker's certificate.
#[derive(Debug, PartialEq, Eq)]
enum Authorities {
    Public,
    /// Those in this PEM file.
    Own(PathBuf),
}

fn parse(uri: &SecretString) -> Result<Parts, Error> {
    let url = Url::parse(uri.expose_secret().trim()).map_err(|problem| Error::uri(problem.to_string()))?;
    let (secure, default_port) = match url.scheme() {
        "amqp" => (false, 5672),
        "amqps" => (true, 5671),
        _ => return Err(Error::uri("the scheme is neither amqp nor amqps")),
    };
    if url.fragment().is_some() {
        return Err(Error::uri("it has a #, which is written %23"));
    }
    let host = match url.host_str() {
        Some(host) if !host.is_empty() => decoded("host", host)?,
        _ => return Err(Error::uri("there is no host")),
    };
    let port = url.port().unwrap_or(default_port);
    if port == 0 {
        return Err(Error::uri("the port is 0"));
    }
    let (user, password) = credentials(&url)?;
    let authorities = secure.then(|| ca_file(&url).map_or(Authorities::Public, Authorities::Own));
    Ok(Parts { host, port, vhost: vhost(url.path())?, user, password, authorities })
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
    // A login has NUL between its parts.
    if bytes.contains(&0) {
        return Err(Error::uri(format!("the {part} has a %00")));
    }
    String::from_utf8(bytes).map_err(|_| Error::uri(format!("the {part} is not UTF-8")))
}

fn tls(authorities: &Authorities, host: &str) -> Result<Tls, Error> {
    // rustls wants one provider chosen per process; if the binary has chosen already, that choice stays.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _lost_a_race_to_the_same_choice = rustls::crypto::ring::default_provider().install_default();
    }
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|_| Error::uri("the host cannot be the name in a certificate"))?;
    let roots = match authorities {
        Authorities::Public => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Authorities::Own(file) => certificates(file)?,
    };
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
}

fn certificates(file: &Path) -> Result<RootCertStore, Error> {
    let unusable = |problem: String| Error::CaCertificate { path: file.to_owned(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there are none".to_owned())) } else { Ok(roots) }
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
        Server::parse(&SecretString::from(uri)).expect_err("a uri to be refused").to_string()
    }

    #[test]
    fn defaults_fill_what_is_left_out() {
        let short = parts("amqp://rabbit");
        assert_eq!((short.host.as_str(), short.port, short.vhost.as_str()), ("rabbit", 5672, "/"));
        assert_eq!((short.user.as_str(), short.password.expose_secret()), ("guest", "guest"));
        assert_eq!(short.authorities, None);
        assert_eq!(parts("amqps://rabbit").port, 5671);
        assert_eq!(parts("amqps://rabbit").authorities, Some(Authorities::Public));
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
        assert_eq!(own_ca.authorities, Some(Authorities::Own("/etc/ca.pem".into())));
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
            "amqp://u:hunter2@h:0",
            "amqp://u:hunter2@h:65536",
            "amqp://u:hunter2@h/v#x",
            "amqp://u:hunter2#@h/v",
            "amqp://u:hunter2%00@h/v",
            "amqp://u%00:hunter2@h/v",
            "amqp://u:hunter2@h/%00",
            "amqp://u:hunter2@[::1",
            "amqp://u:hunter2@[h]/",
            "amqp://u:hunter2@h h/",
            "amqp:///v",
            "amqp://:5672",
            "amqps://u:hunter2@h%20h/",
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
        let server = Server::parse(&SecretString::from("amqps://u:hunter2@broker.example")).expect("a valid uri");
        assert!(!format!("{server:?}").contains("hunter2"));
        let arguments = server.arguments();
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
