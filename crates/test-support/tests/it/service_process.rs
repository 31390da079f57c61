//! A service as a process: its address, when it is ready, its lives.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use test_support::{ServiceProcess, wait_until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(address: SocketAddr, script: &str) -> ServiceProcess {
    ServiceProcess::at(address, PathBuf::from("/bin/sh"), &["-c", script], BTreeMap::new())
}

/// Answers its first requests with 503 and all others with 200, in place of the process.
async fn slow_starter() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        for request in 0.. {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut head = [0; 1_024];
            let read = stream.read(&mut head).await.expect("a request");
            let page = String::from_utf8_lossy(&head[..read]).split(' ').nth(1).expect("a path").to_owned();
            let status = if request < 3 { "503 Service Unavailable" } else { "200 OK" };
            stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n{page} {request}").as_bytes()).await.expect("it reads");
        }
    });
    (address, serving)
}

#[tokio::test]
async fn it_is_ready_once_the_page_is_answered_with_200() {
    let (address, _serving) = slow_starter().await;
    let mut service = shell(address, "sleep 1000");
    service.start();
    service.ready().await;
    assert_eq!(
        service.get("/metrics").await,
        Some((200, "/metrics 4".to_owned())),
        "the fourth answer was the first 200"
    );
    assert_eq!(service.base_url(), format!("http://{address}"));
}

#[tokio::test]
async fn one_that_ends_instead_of_becoming_ready_is_an_error_with_its_last_words() {
    let mut service = shell(SocketAddr::from(([127, 0, 0, 1], 1)), "echo no such setting; exit 1");
    assert!(service.answers("/readyz").await.is_err(), "it was not started");
    service.start();
    let error = service.answers("/readyz").await.expect_err("nobody listens").to_string();
    assert!(error.starts_with("sh ended by itself") && error.ends_with("no such setting"), "{error}");
}

#[tokio::test]
async fn it_is_told_its_address_by_the_variable() {
    let mut service = ServiceProcess::new(PathBuf::from("/usr/bin/env"), "LISTEN_ADDR", [("PRICE_NORMAL", "2")]);
    service.start();
    let told = format!("LISTEN_ADDR={}", service.address());
    wait_until(PATIENCE, "the variables", async || service.output().contains(&told).then_some(())).await;
    assert!(service.output().contains("PRICE_NORMAL=2"));
}

#[tokio::test]
async fn its_output_is_that_of_all_its_lives() {
    let mut service = shell(SocketAddr::from(([127, 0, 0, 1], 1)), "echo alive; sleep 1000");
    for lives in 1..=2 {
        service.start();
        let all = "alive\n".repeat(lives);
        wait_until(PATIENCE, "a sign of life", async || (service.output() == all).then_some(())).await;
        assert!(!service.terminate().await.success(), "a shell that is terminated has no exit code");
    }
}
