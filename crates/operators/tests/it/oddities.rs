//! Operators that behave in unusual ways.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use opentelemetry::{Context, context::FutureExt as _, propagation::TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use operators::{OperatorsConfig, Prior, Verdict};
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    ANY, build, config,
    raw_server::{RawServer, Reply},
    simulator, submission,
};

async fn send_to(server: &RawServer) -> Verdict {
    build(config(&format!("a=http://{}/sms", server.address))).send(&submission("m"), Prior::First).await
}

fn accepted_without_id(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted { ids, .. } if *ids == [None])
}

fn context_of(traceparent: &str) -> Context {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract(&carrier)
}

#[tokio::test]
async fn the_request_is_what_the_contract_says() {
    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut server = RawServer::start(Reply::Text("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".into())).await;
    let operators = build(config(&format!("a=http://user:secret@{}/sms?v=1", server.address)));
    let verdict = operators.send(&submission("0199-m"), Prior::First).with_context(context_of(TRACEPARENT)).await;
    assert!(accepted_without_id(&verdict));

    let request = server.requests.recv().await.expect("one request");
    let (head, body) = request.split_once("\r\n\r\n").expect("head and body");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /sms?v=1 http/1.1\r\n"), "{head}");
    for header in [
        "idempotency-key: 0199-m:+4915112345",
        &format!("traceparent: {TRACEPARENT}"),
        "content-type: application/json",
        "authorization: basic dxnlcjpzzwnyzxq=",
    ] {
        assert!(head.lines().any(|line| line == header), "no {header:?} in {head}");
    }
    let body: serde_json::Value = serde_json::from_str(body).expect("a JSON body");
    let expected =
        serde_json::json!({ "message_id": "0199-m", "recipient": "+4915112345", "text": "hello", "type": "express" });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"] {
        let server = RawServer::start(Reply::TextAndEndlessBody(head.into())).await;
        assert!(accepted_without_id(&send_to(&server).await), "the status says that it was accepted");
    }
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_one_more_byte_is_not() {
    let body_of = |length: usize| {
        let start = r#"{"provider_message_id":"x","padding":""#;
        format!("{start}{}\"}}", "0".repeat(length - start.len() - 2))
    };
    for (length, is_read) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", body_of(length));
        let server = RawServer::start(Reply::Text(text)).await;
        let verdict = send_to(&server).await;
        let Verdict::Accepted { ids, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(ids[0].is_some(), is_read, "{length}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_or_never_comes_does_not_undo_the_answer() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"provider_".to_owned();
    let server = RawServer::start(Reply::Text(head.clone())).await;
    assert!(accepted_without_id(&send_to(&server).await));
    let server = RawServer::start(Reply::TextAndSilence(head)).await;
    let config =
        OperatorsConfig { timeout: Duration::from_secs(2), ..config(&format!("a=http://{}/", server.address)) };
    assert!(accepted_without_id(&build(config).send(&submission("m"), Prior::First).await));
}

#[tokio::test]
async fn a_connection_serves_many_calls_whatever_was_answered() {
    for status in ["200 OK", "422 Unprocessable Content", "503 Service Unavailable"] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 13\r\n\r\n{{\"error\":\"x\"}}");
        let server = RawServer::start(Reply::TextEachTime(text)).await;
        let operators = build(config(&format!("a=http://{}/", server.address)));
        for _ in 0..5 {
            operators.send(&submission("m"), Prior::First).await;
        }
        assert_eq!(server.connections.load(Ordering::Relaxed), 1, "{status}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let simulator = simulator();
    let location = simulator.operator_url("a");
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let text = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = RawServer::start(Reply::Text(text)).await;
        match send_to(&server).await {
            Verdict::Failed { reason } => assert_eq!(reason, format!("a answered {}", &status[..3])),
            other => panic!("{status} gave {other:?}"),
        }
    }
    assert!(simulator.journal().is_empty());
    simulator.stop().await;
}

#[tokio::test]
async fn a_tcp_reset_or_nonsense_after_the_request_is_unknown() {
    for reply in [Reply::TcpReset, Reply::Text("nonsense\r\n\r\n".into()), Reply::Text("HTTP/1.1 20".into())] {
        let server = RawServer::start(reply).await;
        let verdict = send_to(&server).await;
        assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_in_time_means_not_sent() {
    // A listener that accepts nobody and whose queue is full: the system leaves further callers without an answer.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(ANY).expect("a free port");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("bound");
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(connected.expect("queued"));
        assert!(waiting.len() < 100, "the queue never fills");
    }
    let timeout = Duration::from_secs(1);
    let operators = build(OperatorsConfig { timeout, ..config(&format!("a=http://{address}/")) });
    let verdict = operators.send(&submission("m"), Prior::First).await;
    assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
}

#[tokio::test]
async fn a_failed_tls_handshake_means_not_sent() {
    let server = RawServer::start(Reply::Text("HTTP/1.1 200 OK\r\n\r\n".into())).await;
    let operators = build(config(&format!("a=https://{}/", server.address)));
    let verdict = operators.send(&submission("m"), Prior::First).await;
    assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
}
