//! The admin server over real HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    future::ready,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use service_kit::{
    Health, Lifecycle,
    admin::AdminServer,
    health::{Reported, Required},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// An answer: status, header block in lower case, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }
}

async fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(Duration::from_secs(30), exchange).await.expect("the server answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

fn start(health: Health) -> Running {
    let (recorder, metrics) = telemetry::recorder();
    metrics::with_local_recorder(&recorder, || {
        telemetry::names::describe();
        metrics::gauge!(telemetry::names::BROKER_CONNECTED).set(1.0);
    });
    let server = AdminServer::bind(&[LOOPBACK], health, metrics).unwrap();
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    let server = TaskTracker::new().spawn(server.run(stop.clone()));
    Running { address, stop, server }
}

#[tokio::test]
async fn the_three_paths_answer() {
    let running = start(Health::new());
    let alive = request(running.address, "GET", "/healthz").await;
    assert_eq!((alive.status, alive.body.as_str()), (200, r#"{"status":"ok"}"#));
    assert!(alive.head.contains("content-type: application/json"), "{}", alive.head);

    let metrics = request(running.address, "GET", "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    assert!(metrics.body.contains("# HELP broker_connected 1 while"), "{}", metrics.body);
    assert!(metrics.body.contains("broker_connected 1"), "{}", metrics.body);
}

#[tokio::test]
async fn readiness_names_what_is_unavailable() {
    let (mysql, rabbitmq) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let health = |state: &Arc<AtomicBool>| {
        let state = Arc::clone(state);
        move || ready(state.load(Ordering::SeqCst))
    };
    let up = r#"{"status":"ready","dependencies":{"mysql":"ok","rabbitmq":"ok"}}"#;
    let broker_down = r#"{"status":"ready","dependencies":{"mysql":"ok","rabbitmq":"unavailable"}}"#;
    let database_down = r#"{"status":"not_ready","dependencies":{"mysql":"unavailable","rabbitmq":"ok"}}"#;
    for (mysql_up, rabbitmq_up, status, body) in
        [(true, true, 200, up), (true, false, 200, broker_down), (false, true, 503, database_down)]
    {
        mysql.store(mysql_up, Ordering::SeqCst);
        rabbitmq.store(rabbitmq_up, Ordering::SeqCst);
        // A new server each time, so that no result is reused.
        let checks =
            Health::new().check("mysql", Required, health(&mysql)).check("rabbitmq", Reported, health(&rabbitmq));
        let answer = request(start(checks).address, "GET", "/readyz").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let head_of = |answer: &Answer| {
        let lines = answer.head.lines().filter(|line| !line.starts_with("date:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for health in [Health::new(), Health::new().check("mysql", Required, || ready(false))] {
        let running = start(health);
        for path in ["/healthz", "/readyz", "/metrics", "/nothing"] {
            let whole = request(running.address, "GET", path).await;
            let head = request(running.address, "HEAD", path).await;
            assert_eq!((head_of(&head), head.body.as_str()), (head_of(&whole), ""), "{path}");
            assert!(head.head.contains(&format!("content-length: {}", whole.body.len())), "{path}: {}", head.head);
        }
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_json() {
    let running = start(Health::new());
    for path in ["/", "/nothing", "/healthz/", "/metrics/x", "/%00"] {
        let answer = request(running.address, "GET", path).await;
        assert_eq!((answer.status, &answer.json()["error"]), (404, &"not_found".into()), "{path}");
        assert!(answer.json()["message"].is_string());
    }
    for (method, path) in [("POST", "/healthz"), ("DELETE", "/readyz"), ("PUT", "/metrics"), ("BREW", "/metrics")] {
        let answer = request(running.address, method, path).await;
        assert_eq!((answer.status, &answer.json()["error"]), (405, &"method_not_allowed".into()), "{method} {path}");
        assert!(answer.head.contains("allow: get, head\r\n"), "{}", answer.head);
    }
}

#[tokio::test]
async fn it_stops_when_told_and_frees_its_port() {
    let running = start(Health::new());
    assert_eq!(request(running.address, "GET", "/healthz").await.status, 200);
    running.stop.cancel();
    let ended = timeout(Duration::from_secs(30), running.server).await.expect("the server ends").unwrap();
    ended.expect("a stop is not an error");
    TcpStream::connect(running.address).await.expect_err("nobody listens any more");
}

#[tokio::test]
async fn it_answers_during_the_drain_and_ends_after_it() {
    let (_recorder, metrics) = telemetry::recorder();
    let lifecycle = Lifecycle::for_tests();
    let server = AdminServer::bind(&[LOOPBACK], Health::new(), metrics).unwrap();
    let address = server.local_addr();
    lifecycle.scope().spawn_support("admin", server.run(lifecycle.scope().finish));
    let stop = lifecycle.stop.clone();
    lifecycle.scope().spawn("worker", async move {
        stop.cancelled().await;
        assert_eq!(request(address, "GET", "/metrics").await.status, 200);
    });
    lifecycle.stop.cancel();
    assert_eq!(lifecycle.run(Duration::from_secs(30)).await, std::process::ExitCode::SUCCESS);
    TcpStream::connect(address).await.expect_err("the server ended");
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_says_so() {
    let holder = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let taken = holder.local_addr().unwrap();
    let (_recorder, metrics) = telemetry::recorder();
    let error = AdminServer::bind(&[taken, LOOPBACK], Health::new(), metrics).unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("ADMIN_ADDR"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[tokio::test]
async fn an_address_this_machine_lacks_leads_to_the_next() {
    // 192.0.2.0/24 is reserved for documentation: no machine has it.
    let absent = "192.0.2.1:0".parse().unwrap();
    let (_recorder, metrics) = telemetry::recorder();
    let server = AdminServer::bind(&[absent, LOOPBACK], Health::new(), metrics.clone()).unwrap();
    assert!(server.local_addr().ip().is_loopback());
    AdminServer::bind(&[absent], Health::new(), metrics).unwrap_err();
}
