//! A bare HTTP client: it shows what the simulator really does with a connection.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// Writes a request and returns its connection.
pub(crate) async fn open(address: SocketAddr, method: &str, path: &str, key: Option<&str>, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the simulator listens");
    let request = request(method, path, key, body, "close");
    stream.write_all(request.as_bytes()).await.expect("the simulator reads");
    stream
}

/// The bytes of a request; `connection` is the header of that name.
pub(crate) fn request(method: &str, path: &str, key: Option<&str>, body: &str, connection: &str) -> String {
    let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nContent-Type: application/json\r\n\
         {key}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads until the simulator closes; empty where it gave no answer.
pub(crate) async fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends the reading as well as an orderly close.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("the simulator closes in time");
    bytes
}

/// One request and its answer: the status and the body, which is null where there is none.
pub(crate) async fn call(address: SocketAddr, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, Value) {
    let bytes = read_all(open(address, method, path, key, body).await).await;
    let text = String::from_utf8(bytes).expect("the answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("there is an answer");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).expect("a JSON body") };
    (status, body)
}

/// The body of a submission.
pub(crate) fn submission(message: &str, recipient: &str) -> String {
    serde_json::json!({ "message_id": message, "recipient": recipient, "text": "hi", "type": "normal" }).to_string()
}

/// Submits to operator `a`, keyed as the platform does it.
pub(crate) async fn submit(address: SocketAddr, message: &str, recipient: &str) -> (u16, Value) {
    let key = format!("{message}:{recipient}");
    call(address, "POST", "/operators/a/messages", Some(&key), &submission(message, recipient)).await
}
