//! A private RabbitMQ: killed, restarted, paused.

use std::time::Duration;

use test_support::{
    http,
    provision::{Backend, RabbitServer},
    wait_until,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;

const PATIENCE: Duration = Duration::from_secs(30);

/// The first byte a server answers to an AMQP greeting: 1, a method frame.
async fn greeting(uri: &str) -> std::io::Result<u8> {
    let uri = Url::parse(uri).expect("an AMQP URI");
    let mut stream = TcpStream::connect(("127.0.0.1", uri.port().expect("a port"))).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    stream.read_u8().await
}

async fn start() -> RabbitServer {
    let backend = Backend::choose_private().expect("a way to start servers");
    RabbitServer::start(backend).await.expect("a private RabbitMQ")
}

#[tokio::test]
async fn a_killed_server_comes_back_under_the_same_uri() {
    let mut server = start().await;
    let uri = server.url().to_owned();
    assert_eq!(greeting(&uri).await.expect("it speaks AMQP"), 1);

    server.kill().await.expect("the server can be killed");
    assert!(greeting(&uri).await.is_err(), "the killed server still answers");

    server.restart().await.expect("the server starts again");
    assert_eq!(server.url(), uri);
    assert_eq!(greeting(&uri).await.expect("it speaks AMQP again"), 1);

    server.stop().await.expect("the server can be stopped");
    assert!(greeting(&uri).await.is_err(), "the stopped server still answers");
}

#[tokio::test]
async fn a_paused_server_answers_only_after_it_is_resumed() {
    let mut server = start().await;
    let uri = server.url().to_owned();
    server.pause().await.expect("the server can be paused");
    let paused = tokio::time::timeout(Duration::from_secs(1), greeting(&uri)).await;
    assert!(paused.is_err(), "a paused server answered: {paused:?}");
    server.resume().await.expect("the server can be resumed");
    wait_until(PATIENCE, "an answer of the resumed server", async || greeting(&uri).await.ok()).await;
}

#[tokio::test]
async fn two_private_servers_live_beside_each_other() {
    let (first, second) = tokio::join!(start(), start());
    assert_ne!(first.url(), second.url());
    drop(first);
    assert_eq!(greeting(second.url()).await.expect("the second outlives the first"), 1);
}

#[tokio::test]
async fn a_server_with_metrics_answers_scrapes() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let server = RabbitServer::start_with_metrics(backend).await.expect("a private RabbitMQ");
    let address = server.metrics_address().expect("it was started with metrics");
    let scraped = wait_until(PATIENCE, "an answer to a scrape", async || http::get(&address, "/metrics").await).await;
    assert!(scraped.0 == 200 && scraped.1.contains("rabbitmq_identity_info{"), "{scraped:?}");
    assert_eq!(start().await.metrics_address(), None);
}
