//! The fault proxy in front of a server that echoes.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use test_support::{FaultProxy, free_address};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Echoes every connection until dropped.
async fn echo_server() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    (address, serving)
}

async fn echo(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("no answer in time")?;
    Ok(String::from_utf8(answer).expect("the text comes back"))
}

#[tokio::test]
async fn bytes_and_the_end_of_stream_pass_both_ways() {
    let (upstream, _serving) = echo_server().await;
    let proxy = FaultProxy::start(upstream).await.expect("a proxy");
    let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
    let sent: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let (mut reader, mut writer) = stream.split();
    let mut received = Vec::new();
    let sending = async {
        writer.write_all(&sent).await?;
        writer.shutdown().await
    };
    let (sending, receiving) =
        timeout(PATIENCE, async { tokio::join!(sending, reader.read_to_end(&mut received)) }).await.expect("in time");
    sending.expect("all is sent");
    receiving.expect("an orderly end");
    assert!(received == sent, "{} bytes came back of {}", received.len(), sent.len());
}

#[tokio::test]
async fn a_cut_resets_connections_and_refuses_new_ones_until_healed() {
    let (upstream, _serving) = echo_server().await;
    let proxy = FaultProxy::start(upstream).await.expect("a proxy");
    let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
    assert_eq!(echo(&mut stream, "before").await.expect("it forwards"), "before");

    proxy.cut().await;
    let broken = stream.read_u8().await.expect_err("the connection outlived the cut");
    assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
    let refused = TcpStream::connect(proxy.address()).await.expect_err("a cut proxy took a connection");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    proxy.heal().await;
    let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection after healing");
    assert_eq!(echo(&mut stream, "after").await.expect("it forwards again"), "after");
}

#[tokio::test]
async fn a_freeze_holds_bytes_back_and_keeps_connections() {
    let (upstream, _serving) = echo_server().await;
    let proxy = FaultProxy::start(upstream).await.expect("a proxy");
    let mut old = TcpStream::connect(proxy.address()).await.expect("a connection");
    assert_eq!(echo(&mut old, "before").await.expect("it forwards"), "before");

    proxy.freeze().await;
    let mut new = TcpStream::connect(proxy.address()).await.expect("a frozen proxy still takes connections");
    for stream in [&mut old, &mut new] {
        stream.write_all(b"held").await.expect("the kernel takes it");
        let answer = timeout(Duration::from_millis(200), stream.read_u8()).await;
        assert!(answer.is_err(), "a frozen proxy forwarded: {answer:?}");
    }

    proxy.heal().await;
    for stream in [&mut old, &mut new] {
        let mut answer = [0; 4];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("in time").expect("an answer");
        assert_eq!(&answer, b"held");
    }
}

#[tokio::test]
async fn latency_delays_each_direction() {
    let (upstream, _serving) = echo_server().await;
    let proxy = FaultProxy::start(upstream).await.expect("a proxy");
    let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
    let delay = Duration::from_millis(100);
    proxy.latency(delay).await;
    let start = Instant::now();
    assert_eq!(echo(&mut stream, "slow").await.expect("it forwards"), "slow");
    assert!(start.elapsed() >= 2 * delay, "there and back in {:?}", start.elapsed());
}

#[tokio::test]
async fn an_absent_upstream_resets_the_client() {
    let nobody = free_address();
    let proxy = FaultProxy::start(nobody).await.expect("a proxy");
    let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy itself takes connections");
    let broken = timeout(PATIENCE, stream.read_u8()).await.expect("in time").expect_err("nobody is there");
    assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_url_is_rewritten_to_go_through_the_proxy() {
    let (upstream, _serving) = echo_server().await;
    let url = format!("mysql://user:secret@127.0.0.1:{}/name", upstream.port());
    let (proxy, through) = FaultProxy::in_front_of(&url).await.expect("a proxy");
    assert_eq!(through, format!("mysql://user:secret@{}/name", proxy.address()));
    let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
    assert_eq!(echo(&mut stream, "hello").await.expect("it forwards"), "hello");
}
