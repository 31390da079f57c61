//! A plain HTTP client.

use std::{sync::Arc, time::Duration};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Without TLS and proxies: everything it talks to is on this machine.
pub(super) fn client() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().timeout(TIMEOUT).tls_backend_preconfigured(tls).no_proxy();
    builder.build().expect("a plain HTTP client")
}
