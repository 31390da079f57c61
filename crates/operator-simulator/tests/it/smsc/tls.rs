//! SMSCs that speak TLS.

use std::sync::Arc;

use operator_simulator::{Smsc, SmscEnd, SmscEvent, SmscMode, SmscOptions, local_certificate, local_tls};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use smpp::{BindMode, Body, Status};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    ANY,
    smsc::{
        esme::{Esme, bind_as},
        events, wait_for_stats, wait_until,
    },
};

fn start() -> Smsc {
    let options = SmscOptions { tls: Some(local_tls()), ..SmscOptions::default() };
    Smsc::start(ANY, options).expect("a free port")
}

async fn connect(smsc: &Smsc) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(local_certificate().as_bytes()).expect("PEM")).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(smsc.address()).await.expect("it listens");
    let name = ServerName::IpAddress(smsc.address().ip().into());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("it is trusted")
}

#[tokio::test]
async fn a_session_over_tls_is_as_any_other() {
    let smsc = start();
    assert!(smsc.url().starts_with("smpps://esme1:secret@127.0.0.1:"), "{}", smsc.url());
    let mut esme = Esme::on(connect(&smsc).await);
    assert_eq!(esme.bind(BindMode::Transceiver, bind_as("esme1", "secret")).await, Status::OK);
    let count = 2_000;
    esme.submit_all(&vec!["+491"; count]).await;
    for _ in 0..count {
        assert_eq!(esme.answer().await.1, Status::OK);
    }
    smsc.set_behaviour(SmscMode::Silent).expect("valid");
    esme.submit_all(&["+491"]).await;
    let link = esme.request(Body::EnquireLink).await;
    assert_eq!(esme.next().await.sequence, link);
    smsc.cut_all();
    assert_eq!(esme.next_or_end().await, None);
    assert_eq!(smsc.stats().submits, count as u64 + 1);
    smsc.stop().await;
}

#[tokio::test]
async fn who_speaks_no_tls_gets_no_session() {
    let smsc = start();
    let mut stream = TcpStream::connect(smsc.address()).await.expect("it listens");
    stream.write_all(&[0, 0, 0, 16, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 1]).await.expect("it reads");
    // An alert or a reset.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    let closed = [SmscEvent::Closed { why: SmscEnd::Client }];
    wait_until(|| events(&smsc) == closed, || format!("{:?}", smsc.journal())).await;
    wait_for_stats(&smsc, |stats| stats.sessions == 0).await;
    smsc.stop().await;
}
