//! Paths, methods and HTTP itself.

use crate::support::{
    Connection, Fixture, Request, message,
    routes::{allowed, target},
};

pub(crate) async fn unknown_paths_are_not_found(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for target in [
        "/",
        "/nowhere",
        "/messages",
        "/messages/",
        "/messages/send/",
        "/messages/send/x",
        "/Messages/Send",
        "/messages%2Fsend",
        "/balance/",
        "//balance",
        "/balance/add/",
        "/balance/../balance",
        "/healthz/",
        "/%00",
        "/%ff%fe",
        "/%",
        "/swagger/nothing.html",
        "/swagger/../openapi.json",
        "/swagger/%2e%2e/Cargo.toml",
        "/favicon.ico",
        "/?x=1",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let request = Request::new(method, target).header("Content-Type", "application/json");
            let answer = api.call(request).await;
            // The UI's folder answers GET only, whatever is asked for.
            if target.starts_with("/swagger/") && method != "GET" {
                answer.error(405, "method_not_allowed");
            } else {
                answer.error(404, "not_found");
            }
        }
    }
}

pub(crate) async fn other_methods_are_told_the_right_one(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for (path, right) in allowed() {
        let (path, right) = (target(path), right.as_str());
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "head", "X"] {
            if right.split(", ").any(|right| right == method) {
                continue;
            }
            let answer = api.call(Request::new(method, &path)).await;
            let message = answer.error(405, "method_not_allowed");
            assert_eq!(answer.header("Allow"), Some(right), "{method} {path}");
            assert!(message.contains(right), "{message}");
        }
        let with_body = Request::new("PUT", &path).header("Content-Type", "application/json").body("{}");
        api.call(with_body).await.error(405, "method_not_allowed");
        if right == "POST" {
            let answer = api.call(Request::new("HEAD", &path)).await;
            assert_eq!((answer.status, answer.header("Allow")), (405, Some(right)), "HEAD {path}");
        }
    }
}

pub(crate) async fn a_connection_serves_many_requests(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let mut connection = Connection::open(api.address).await;
    for _ in 0..5 {
        connection.exchange(&Request::post("/messages/send", &message(1, &["111"]))).await.accepted();
        connection.exchange(&Request::post_bytes("/messages/send", "{")).await.error(400, "invalid_input");
        connection.exchange(&Request::get("/balance?user_id=1")).await.ok();
    }
    // Several at once, answered in order.
    let mut pipelined = Request::post("/messages/send", &message(1, &["111"])).bytes();
    pipelined.extend(Request::get("/nowhere").bytes());
    pipelined.extend(Request::get("/healthz").bytes());
    connection.write(&pipelined).await;
    connection.answer().await.expect("an answer").accepted();
    connection.answer().await.expect("an answer").error(404, "not_found");
    connection.answer().await.expect("an answer").ok();
}

pub(crate) async fn a_refused_body_is_never_taken_for_a_request(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    // Refused before it is read: no JSON by its type, wrong path, wrong method, too large.
    let hidden = Request::post("/messages/send", &message(1, &["111"])).bytes();
    let mut large = vec![b' '; 300 * 1024];
    large.extend(&hidden);
    for request in [
        Request::new("POST", "/messages/send").header("Content-Type", "text/plain").body(hidden.clone()),
        Request::new("POST", "/nowhere").body(hidden.clone()),
        Request::new("DELETE", "/messages/send").body(hidden.clone()),
        Request::get("/balance?user_id=1").body(hidden.clone()),
        Request::post_bytes("/messages/send", large),
    ] {
        let mut connection = Connection::open(api.address).await;
        connection.exchange(&request).await;
        connection.finish_writing().await;
        assert!(connection.is_closed().await, "another answer came: {request:?}");
    }
    assert_eq!(api.balance(1).await, 100);
}

pub(crate) async fn what_is_not_http_does_no_harm(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let body = message(1, &["111"]).to_string();
    let smuggled = format!(
        "POST /messages/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{body}",
        body.len()
    );
    let two_lengths = format!(
        "POST /messages/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let many_headers = format!("GET /balance?user_id=1 HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(200));
    let long_header = format!("GET /balance?user_id=1 HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    let long_target = format!("GET /balance?user_id={} HTTP/1.1\r\nHost: x\r\n\r\n", "1".repeat(200_000));
    let longish_target = format!("GET /balance?user_id={} HTTP/1.1\r\nHost: x\r\n\r\n", "1".repeat(60_000));
    let inputs: [&[u8]; 21] = [
        b"\r\n\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /balance?user_id=1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        b"GET http://example.com/balance?user_id=1 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"GET /balance?user_id=1 HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"GET /balance?user_id=1 HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
        b"GET /balance?user_id=\x80\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /messages/send HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /messages/send HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        smuggled.as_bytes(),
        two_lengths.as_bytes(),
        many_headers.as_bytes(),
        long_header.as_bytes(),
        long_target.as_bytes(),
        longish_target.as_bytes(),
    ];
    for input in inputs {
        let shown = String::from_utf8_lossy(&input[..input.len().min(60)]).into_owned();
        let mut connection = Connection::open(api.address).await;
        let answer = connection.exchange_bytes_and_finish(input).await;
        // Closing without a word is an answer, too.
        if let Some(answer) = answer {
            assert!(answer.status < 500, "{shown:?}: {answer:?}");
        }
    }
    assert_eq!(api.balance(1).await, 100, "nothing of that was a message");
    api.send(&message(1, &["111"])).await.accepted();
}

pub(crate) async fn old_and_careful_clients_are_served(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let mut connection = Connection::open(api.address).await;
    connection.write(b"GET /balance?user_id=1 HTTP/1.0\r\n\r\n").await;
    connection.answer().await.expect("an answer").ok();
    assert!(connection.is_closed().await, "HTTP/1.0 has one request a connection");

    let mut connection = Connection::open(api.address).await;
    connection.exchange(&Request::get("/balance?user_id=1").header("Connection", "close")).await.ok();
    assert!(connection.is_closed().await);

    let request = Request::post("/messages/send", &message(1, &["111"])).header("Expect", "100-continue");
    let bytes = request.bytes();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let mut connection = Connection::open(api.address).await;
    connection.write(&bytes[..head]).await;
    let go_on = connection.interim().await;
    assert!(go_on.starts_with("HTTP/1.1 100"), "{go_on:?}");
    connection.write(&bytes[head..]).await;
    connection.answer().await.expect("an answer").accepted();
}
