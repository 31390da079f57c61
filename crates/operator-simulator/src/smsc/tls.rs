//! TLS of SMSCs on this machine, for tests of clients that speak it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// A certificate for 127.0.0.1, `::1` and `localhost` that nobody but its owner has signed, until 2126.
const CERTIFICATE: &str = "\
MIIBoTCCAUagAwIBAgIUZKGxy++ySQc3N/awql09p7a+OXwwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEc21zYzAgFw0yNjExMjgwNjE2NDVaGA8yMTI2MT\
EwNDA2MTY0NVowDzENMAsGA1UEAwwEc21zYzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNsEZEZ9zwZ9VD7ts0RV1/P5ydUCF9QUCN1t1834dfXbq365\
QAtNL2ui9pJOMI+kUoaazbWMPKgzIcWVgA7zuOyjfjB8MB0GA1UdDgQWBBRbFUlCLoVArlMcM9jnX0kg9PcF4jAfBgNVHSMEGDAWgBRbFUlCLoVArlMcM9\
jnX0kg9PcF4jAMBgNVHRMBAf8EAjAAMCwGA1UdEQQlMCOHBH8AAAGHEAAAAAAAAAAAAAAAAAAAAAGCCWxvY2FsaG9zdDAKBggqhkjOPQQDAgNJADBGAiEA\
gpJLPtMEp+M+7CtBpuxaacMkFK7RSjkomezI/RttpLcCIQDJABi6nvo56COEeImsM3w72ZKIIs4Rl1MffyEQ7SGIAQ==";
/// Its key, which is good for nothing else.
const KEY: &str = "\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrtd1uiWDquqQqx3hrVmyICj7dTi5hb3nWVbBrDg7X7yhRANCAATbBGRGfc8GfVQ+7bNEVd\
fz+cnVAhfUFAjdbdfN+HX126t+uUALTS9rovaSTjCPpFKGms21jDyoMyHFlYAO87js";

/// For [`SmscOptions::tls`](crate::SmscOptions::tls): the SMSC shows [`local_certificate`].
pub fn local_tls() -> Arc<ServerConfig> {
    let der = |text| STANDARD.decode(text).expect("base64");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der(KEY)));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der(CERTIFICATE))], key)
        .expect("a certificate and its key");
    Arc::new(config)
}

/// A certificate for 127.0.0.1, `::1` and `localhost` as PEM, which signed itself: only a client that is told so trusts
/// it.
pub fn local_certificate() -> String {
    let (lines, rest) = CERTIFICATE.as_bytes().as_chunks::<64>();
    let lines = lines.iter().map(<[u8; 64]>::as_slice).chain([rest]).map(String::from_utf8_lossy);
    let text = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
