//! Servers that are not who they should be.

use callbacks::AttemptError;
use operator_simulator::local_tls;
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use crate::{
    client,
    server::{Reply, Server},
    url,
};

const LOCAL: &str = "127.0.0.0/8";

/// Shows a certificate for 127.0.0.1 that nobody but its owner has signed.
fn acceptor() -> TlsAcceptor {
    TlsAcceptor::from(local_tls())
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
