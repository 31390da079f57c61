//! The simulator over real connections.

mod binary;
mod client;
mod modes;
mod receipts;
mod receiver;
mod smsc;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use operator_simulator::{Mode, Options, Simulator};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::client::{call, open, read_all, request, submission, submit};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn start() -> Simulator {
    Simulator::start(ANY).expect("a free port")
}

#[tokio::test]
async fn a_new_operator_accepts_and_recognises_keys() {
    let simulator = start();
    let (status, first) = submit(simulator.address(), "m1", "111").await;
    assert_eq!(status, 200);
    assert!(first["provider_message_id"].is_string());
    let (status, again) = submit(simulator.address(), "m1", "111").await;
    assert_eq!((status, again), (200, first.clone()));
    let (_, other) = submit(simulator.address(), "m1", "222").await;
    assert_ne!(other, first);

    let duplicates: Vec<_> = simulator.journal().iter().map(|entry| entry.duplicate).collect();
    assert_eq!(duplicates, [false, true, false]);
    let stats = simulator.stats().operators["a"].clone();
    assert_eq!((stats.accepted, stats.duplicates, stats.accepted_keys), (3, 1, 2));
    simulator.stop().await;
}

#[tokio::test]
async fn journals_are_told_apart_by_operator_and_continue_after_a_number() {
    let simulator = start();
    let address = simulator.address();
    for operator in ["a", "b", "a"] {
        let path = format!("/operators/{operator}/messages");
        call(address, "POST", &path, Some("k"), &submission("m", "+123")).await;
    }
    let seqs = |journal: Value| -> Vec<u64> {
        journal.as_array().expect("an array").iter().filter_map(|entry| entry["seq"].as_u64()).collect()
    };
    assert_eq!(seqs(call(address, "GET", "/journal", None, "").await.1), [1, 2, 3]);
    assert_eq!(seqs(call(address, "GET", "/operators/a/journal?after=1", None, "").await.1), [3]);
    let (_, all) = call(address, "GET", "/operators/b/journal", None, "").await;
    let at = all[0]["at_ms"].as_u64().expect("a time");
    assert!(at > 1_700_000_000_000);
    assert_eq!(
        all,
        json!([{ "seq": 2, "operator": "b", "key": "k", "message_id": "m", "recipient": "+123", "type": "normal",
                 "decision": "accepted", "duplicate": false, "at_ms": at }])
    );

    assert_eq!(call(address, "DELETE", "/journal", None, "").await.0, 204);
    assert_eq!(call(address, "GET", "/journal", None, "").await.1, json!([]));
    assert_eq!(call(address, "GET", "/stats", None, "").await.1["operators"]["a"]["accepted"], 0);
    call(address, "POST", "/operators/b/messages", Some("k"), &submission("m", "+123")).await;
    let last = simulator.journal().pop().expect("one entry");
    assert!(last.duplicate && last.seq == 4, "keys and numbers survive: {last:?}");
    simulator.stop().await;
}

#[tokio::test]
async fn wrong_requests_are_refused_and_not_recorded() {
    let simulator = start();
    let address = simulator.address();
    let body = submission("m", "123");
    assert_eq!(call(address, "POST", "/operators/a/messages", None, &body).await.0, 400);
    assert_eq!(call(address, "POST", "/operators/a/messages", Some("k"), "{}").await.0, 400);
    assert_eq!(call(address, "POST", "/operators/a%20b/messages", Some("k"), &body).await.0, 404);
    for wrong in [r#"{"default": {"mode": "explode"}}"#, r#"{"default": {"mode": "status", "code": 200}}"#, "nonsense"]
    {
        let (status, answer) = call(address, "PUT", "/operators/a/behaviour", None, wrong).await;
        assert_eq!(status, 400);
        assert!(answer["message"].is_string());
    }
    assert!(simulator.set_behaviour("a", Mode::Status { code: 200 }).is_err());
    assert!(simulator.set_behaviour("a b", Mode::Stall).is_err());
    assert!(simulator.journal().is_empty());
    simulator.stop().await;
}

#[tokio::test]
async fn memory_is_bounded() {
    let simulator = Simulator::start_with(ANY, &Options { journal: None, capacity: 2 }).expect("a free port");
    for message in ["m1", "m2", "m3", "m1"] {
        submit(simulator.address(), message, "111").await;
    }
    let kept: Vec<_> = simulator.journal().iter().map(|entry| (entry.seq, entry.duplicate)).collect();
    assert_eq!(kept, [(3, false), (4, false)], "m1 was forgotten when m3 came");
    assert_eq!(simulator.stats().journal_dropped, 2);
    simulator.stop().await;
}

#[tokio::test]
async fn stopping_closes_connections_and_frees_the_port() {
    let simulator = start();
    let address = simulator.address();
    simulator.set_behaviour("a", Mode::Stall).expect("valid");
    let stalled = open(address, "POST", "/operators/a/messages", Some("k"), &submission("m", "111")).await;
    simulator.stop().await;
    assert!(read_all(stalled).await.is_empty());

    // Another test may be given the port for a moment.
    let deadline = Instant::now() + Duration::from_secs(20);
    let again = loop {
        match Simulator::start(address) {
            Ok(simulator) => break simulator,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(submit(address, "m1", "111").await.0, 200);
    again.stop().await;
}

#[tokio::test]
async fn nothing_is_accepted_after_a_stop_even_over_an_idle_connection() {
    let bytes = request("POST", "/operators/a/messages", Some("k"), &submission("m", "111"), "keep-alive");
    // Many times, for the server's thread is only sometimes still there when the second request comes.
    for _ in 0..50 {
        let simulator = start();
        let mut stream = TcpStream::connect(simulator.address()).await.expect("it listens");
        stream.write_all(bytes.as_bytes()).await.expect("it reads");
        let mut answer = [0; 4096];
        assert!(stream.read(&mut answer).await.expect("an answer") > 0);
        simulator.stop().await;
        // Writing may fail, for the connection may be closed already.
        let _ = stream.write_all(bytes.as_bytes()).await;
        assert!(read_all(stream).await.is_empty(), "it answered after its stop");
    }
}
