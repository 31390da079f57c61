//! Servers that are not who they should be.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use callbacks::AttemptError;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use crate::{
    client,
    server::{Reply, Server},
    url,
};

const LOCAL: &str = "127.0.0.0/8";

/// A certificate for 127.0.0.1 that nobody but its owner has signed, until 2126.
const CERTIFICATE: &str = "\
MIIBijCCATCgAwIBAgIUSzATJS0war2QgWYNIQtrfklxJf0wCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyNzIyNDYzN1oYDzIx\
MjYxMTAzMjI0NjM3WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASi3CUExrct/MzrK4C4dnIz+IFrTi1noC+8pkqx\
EnMoafZWEoIDm6VTBTu9si7pw9cK73MF+n3bMVCb0vY1+XKwo2QwYjAdBgNVHQ4EFgQU2UXLud/cgiyIgpcCk+236o8GkVgwHwYDVR0jBBgwFoAU2UXL\
ud/cgiyIgpcCk+236o8GkVgwDwYDVR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUCIHpzV+V28JPyqJqIYiw5Zwxc\
HmDJDpKPHEaxrxDgp8pZAiEA3Lv1/5g/iQMtgMPLcva5WnS8eIiRUzog8WfTaRgeQF4=";
/// Its key, which is good for nothing else.
const KEY: &str = "\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5Ih20c+htX86h7Mn0KixKkQtMRKYVPxQkeI26WMDxLihRANCAASi3CUExrct/MzrK4C4\
dnIz+IFrTi1noC+8pkqxEnMoafZWEoIDm6VTBTu9si7pw9cK73MF+n3bMVCb0vY1+XKw";

fn acceptor() -> TlsAcceptor {
    let der = |text| STANDARD.decode(text).expect("base64");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der(KEY)));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der(CERTIFICATE))], key)
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = url(&format!("https://{}/", listener.local_addr().expect("bound")));
    let serve = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        let Ok(mut stream) = acceptor().accept(stream).await else { return 0 };
        stream.read(&mut [0; 64]).await.unwrap_or(0)
    };
    let client = client(LOCAL);
    let (attempt, read) = tokio::join!(client.post(&url, &[], b"{}".to_vec()), serve);
    assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::Tls)));
    assert_eq!(read, 0, "nothing was sent");
}

#[tokio::test]
async fn what_speaks_no_tls_is_an_error_of_tls() {
    let server = Server::start(Reply::Blurt("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).await;
    let attempt = client(LOCAL).post(&url(&format!("https://{}/", server.address)), &[], Vec::new()).await;
    assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::Tls)));
}

#[tokio::test]
async fn a_server_that_closes_in_the_handshake_has_closed() {
    let server = Server::start(Reply::Close).await;
    let attempt = client(LOCAL).post(&url(&format!("https://{}/", server.address)), &[], Vec::new()).await;
    assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::Closed)));
}
