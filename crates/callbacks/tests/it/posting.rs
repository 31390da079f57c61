//! What becomes of a callback that may be posted.

use std::{net::TcpListener, time::Duration};

use callbacks::{Attempt, AttemptError, CallbackClient};

use crate::{
    client,
    server::{Reply, Server},
    url_of,
};

const LOCAL: &str = "127.0.0.0/8";

async fn attempt(reply: Reply) -> (Attempt, Server) {
    let server = Server::start(reply).await;
    let attempt = client(LOCAL).post(&url_of(server.address), &[], b"{}".to_vec()).await;
    (attempt, server)
}

/// A client that waits this long.
fn impatient(timeout: Duration) -> CallbackClient {
    CallbackClient::new(LOCAL.parse().expect("a network"), true, timeout).expect("a client")
}

#[tokio::test]
async fn a_callback_is_posted_as_it_is() {
    let mut server = Server::start(Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")).await;
    let headers = [("webhook-id", "evt_01"), ("webhook-timestamp", "1700000000")];
    let body = br#"{"type":"message.delivered"}"#;
    let attempt = client(LOCAL).post(&url_of(server.address), &headers, body.to_vec()).await;
    assert_eq!((attempt.status, attempt.error, attempt.retry_after), (Some(200), None, None));
    assert_eq!(attempt.response, b"fine");
    assert!(attempt.duration > Duration::ZERO);

    let request = server.requests.recv().await.expect("a request");
    let (head, sent) = request.split_once("\r\n\r\n").expect("a head");
    assert_eq!(sent.as_bytes(), body);
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /callbacks?token=secret HTTP/1.1"));
    let mut lines: Vec<_> = lines.map(str::to_lowercase).collect();
    lines.sort_unstable();
    let expected = [
        "accept: */*".to_owned(),
        "content-length: 28".to_owned(),
        "content-type: application/json".to_owned(),
        format!("host: {}", server.address),
        "user-agent: messaging-platform-callbacks/1".to_owned(),
        "webhook-id: evt_01".to_owned(),
        "webhook-timestamp: 1700000000".to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(Reply::Text("HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n")).await;
    let client = client(LOCAL);
    for _ in 0..3 {
        assert_eq!(client.post(&url_of(server.address), &[], Vec::new()).await.status, Some(204));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn cookies_are_forgotten() {
    let mut server = Server::start(Reply::Text("HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n")).await;
    let client = client(LOCAL);
    for _ in 0..2 {
        client.post(&url_of(server.address), &[], Vec::new()).await;
        let request = server.requests.recv().await.expect("a request");
        assert!(!request.to_lowercase().contains("cookie"), "{request}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    for head in [
        "HTTP/1.1 301 Moved Permanently\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.2/\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (attempt, mut server) = attempt(Reply::Text(head)).await;
        assert!(attempt.status.is_some_and(|status| head.contains(&status.to_string())), "{attempt:?}");
        assert_eq!(attempt.error, None);
        assert!(server.requests.recv().await.is_some() && server.requests.try_recv().is_err(), "one request");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_server_may_ask_to_wait() {
    for (text, expected) in [
        ("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", Some(7)),
        (
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 4294967295\r\nContent-Length: 0\r\n\r\n",
            Some(u32::MAX.into()),
        ),
        ("HTTP/1.1 503 x\r\nRetry-After: 4294967296\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 503 x\r\nRetry-After: -7\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 503 x\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n", None),
    ] {
        let (attempt, _server) = attempt(Reply::Text(text)).await;
        assert_eq!(attempt.retry_after, expected.map(Duration::from_secs), "{text}");
        assert!(matches!(attempt.status, Some(503 | 429)));
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (attempt, server) = attempt(Reply::TextAndEndlessBody("HTTP/1.1 200 OK\r\n\r\n")).await;
    assert_eq!((attempt.status, attempt.error), (Some(200), None));
    assert_eq!(attempt.response, [b'0'; 1024]);
    // What fits into the buffers of both systems is sent without being read.
    assert!(server.sent() < 16 << 20, "{} bytes were sent", server.sent());
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let text = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb";
    let (attempt, mut server) = attempt(Reply::Text(text)).await;
    assert_eq!((attempt.status, attempt.response.as_slice()), (Some(200), b"bomb".as_slice()));
    let request = server.requests.recv().await.expect("a request");
    assert!(!request.to_lowercase().contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn a_status_counts_though_its_body_breaks_off() {
    let (attempt, _server) = attempt(Reply::Last("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")).await;
    assert_eq!((attempt.status, attempt.error, attempt.response), (Some(200), None, b"half".to_vec()));
}

#[tokio::test]
async fn a_status_counts_though_its_body_takes_too_long() {
    let server = Server::start(Reply::TextAndSilence("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")).await;
    let attempt = impatient(Duration::from_secs(2)).post(&url_of(server.address), &[], Vec::new()).await;
    assert_eq!((attempt.status, attempt.error, attempt.response), (Some(200), None, b"half".to_vec()));
}

#[tokio::test]
async fn silence_is_a_timeout() {
    for text in ["", "HTTP/1.1 20"] {
        let server = Server::start(Reply::TextAndSilence(text)).await;
        let timeout = Duration::from_millis(300);
        let attempt = impatient(timeout).post(&url_of(server.address), &[], Vec::new()).await;
        assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::Timeout)));
        assert!(attempt.duration >= timeout);
    }
}

#[tokio::test]
async fn a_closed_port_is_no_connection() {
    // Bound and freed, so that nothing listens there.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let attempt = client(LOCAL).post(&url_of(address), &[], Vec::new()).await;
    assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::Connect)));
}

#[tokio::test]
async fn a_server_may_close_without_an_answer() {
    for reply in [Reply::Close, Reply::Last(""), Reply::Last("HTTP/1.1 200 OK\r\nContent-")] {
        let (attempt, _server) = attempt(reply).await;
        assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::Closed)), "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_another_error() {
    let (attempt, _server) = attempt(Reply::Last("220 mail.example.com ESMTP\r\n\r\n")).await;
    assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::Other)));
}

#[tokio::test]
async fn headers_cannot_hold_further_lines() {
    let server = Server::start(Reply::Text("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let attempt = client(LOCAL).post(&url_of(server.address), &[("webhook-id", "x\r\nhost: y")], Vec::new()).await;
    assert_eq!((attempt.error, server.connections()), (Some(AttemptError::Other), 0));
}

#[tokio::test]
async fn nothing_that_is_printed_holds_the_path_or_the_response() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    let server = Server::start(Reply::Text(text)).await;
    let (client, url) = (client(LOCAL), url_of(server.address));
    let attempt = client.post(&url, &[], Vec::new()).await;
    assert_eq!(attempt.response, b"secret");
    let printed = format!("{client:?} {url:?} {attempt:?}");
    assert!(!printed.contains("secret") && !printed.contains("115, 101, 99"), "{printed}");
}
