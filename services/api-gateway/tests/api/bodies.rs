//! Bodies that are not what they should be, the same on all routes that take one.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Answer, Connection, Fixture, Gateway, Request, message, routes::taking_bodies};

const MAX_BODY: usize = 256 * 1024;

/// A body that all of them accept.
fn good() -> String {
    json!({"customer_id": 1, "text": "hi", "recipients": ["111"], "user_id": 1, "balance": 1, "name": "shop",
        "scopes": ["send"], "sender": "BANK", "overlap_seconds": 0, "url": "https://93.184.216.34/",
        "events": ["message.done"], "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"})
    .to_string()
}

/// Whatever it was about, the body was read.
#[track_caller]
fn assert_taken(answer: &Answer) {
    // What the body is about need not be there.
    assert!([200, 201, 404].contains(&answer.status), "{}", answer.text());
}

async fn funded(f: &Fixture) -> Gateway {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    api
}

pub(crate) async fn what_is_not_json_is_refused(f: &Fixture) {
    let api = funded(f).await;
    let bodies: [&[u8]; 25] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{}}",
        b"{\"customer_id\"}",
        b"{\"customer_id\":}",
        b"{\"customer_id\":1,}",
        b"{customer_id:1}",
        b"{'customer_id':1}",
        b"{\"customer_id\":01}",
        b"{\"customer_id\":+1}",
        b"{\"customer_id\":0x1}",
        b"{\"customer_id\":NaN}",
        b"{\"customer_id\":-Infinity}",
        b"{\"customer_id\":1e999}",
        b"{\"text\":\"a\nb\"}",
        b"{\"text\":\"\\ud800\"}",
        b"{\"text\":\"\\x41\"}",
        b"{\"text\":\"\xff\xfe\"}",
        b"\xef\xbb\xbf{\"customer_id\":1}",
        b"{\"customer_id\":1}/* */",
        b"\x00",
        b"customer_id=1&text=hi",
        b"<xml/>",
    ];
    for route in taking_bodies() {
        for body in bodies {
            api.call(Request::post_bytes(&route, body)).await.invalid("JSON");
        }
        let utf16: Vec<u8> = good().bytes().flat_map(|byte| [byte, 0]).collect();
        api.call(Request::post_bytes(&route, utf16)).await.invalid("JSON");
        let mut with_bom = b"\xef\xbb\xbf".to_vec();
        with_bom.extend(good().bytes());
        api.call(Request::post_bytes(&route, with_bom)).await.invalid("JSON");
    }
    assert_eq!(api.balance(1).await, 100);
}

pub(crate) async fn what_is_not_an_object_is_refused(f: &Fixture) {
    let api = funded(f).await;
    for route in taking_bodies() {
        for body in ["null", "true", "1", "-1.5", "\"x\"", "[]", "[{\"customer_id\":1}]"] {
            api.call(Request::post_bytes(&route, body)).await.invalid("object");
        }
        api.call(Request::post_bytes(&route, "{}")).await.error(400, "invalid_input");
    }
}

pub(crate) async fn deep_nesting_is_refused_not_followed(f: &Fixture) {
    let api = funded(f).await;
    for route in taking_bodies() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let at_the_top = nested(20_000);
            api.call(Request::post_bytes(&route, at_the_top)).await.error(400, "invalid_input");
            let unclosed = open.repeat(40_000);
            api.call(Request::post_bytes(&route, unclosed)).await.error(400, "invalid_input");
            let in_a_field = format!("{{\"extra\":{},{}", nested(10_000), good().split_off(1));
            api.call(Request::post_bytes(&route, in_a_field)).await.error(400, "invalid_input");
        }
    }
    assert_eq!(api.balance(1).await, 100);
}

pub(crate) async fn a_repeated_field_is_refused(f: &Fixture) {
    let api = funded(f).await;
    for route in taking_bodies() {
        for again in [
            r#""customer_id":1,"user_id":1"#,
            r#""customer_id":2,"user_id":2"#,
            r#""text":"hi","balance":1"#,
            r#""te\u0078t":"other","balanc\u0065":1"#,
            r#""recipients":["222"],"\u0075ser_id":null"#,
            r#""x":1,"x":1"#,
            r#""":1,"":2"#,
        ] {
            for body in [format!("{{{again},{}", &good()[1..]), format!("{},{again}}}", good().trim_end_matches('}'))] {
                api.call(Request::post_bytes(&route, body)).await.invalid("more than once");
            }
        }
        // Only the request's own fields are looked at, and case makes another field.
        let nested = format!(r#"{{"x":{{"a":1,"a":2}},"Text":"","TEXT":"",{}"#, &good()[1..]);
        assert_taken(&api.call(Request::post_bytes(&route, nested)).await);
    }
    let answer = api.account(2).await;
    assert_eq!(answer, json!({"balance": 0, "transactions": [], "next_cursor": null}));
    assert_eq!(api.balance(1).await, 100, "one was sent, one added");
}

pub(crate) async fn bodies_must_say_that_they_are_json(f: &Fixture) {
    let api = funded(f).await;
    let post = |route: &str| Request::new("POST", route).body(good());
    for route in taking_bodies() {
        for right in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "application/json; charset=\"UTF-8\"; x=y",
            "application/json ; Charset = utf8",
            "application/json;charset=us-ascii",
            "application/json; x=latin1;",
            "APPLICATION/JSON",
            "application/vnd.api+json",
        ] {
            assert_taken(&api.call(post(&route).header("Content-Type", right)).await);
        }
        api.call(post(&route)).await.error(415, "unsupported_media_type");
        for wrong in [
            &b""[..],
            b"text/plain",
            b"application/x-www-form-urlencoded",
            b"multipart/form-data; boundary=x",
            b"application/jsonx",
            b"application/json5",
            b"json",
            b"text/plain; application/json",
            b"application/octet-stream",
            b"\xff\xfe",
            b"application/json; charset=utf-16",
            b"application/json;charset=iso-8859-1",
            b"application/json; charset=\"Latin1\"",
            b"application/json; CHARSET=utf-16le; charset=utf-8",
            b"application/json; charset=",
        ] {
            api.call(post(&route).header("Content-Type", wrong)).await.error(415, "unsupported_media_type");
        }
        let twice = post(&route).header("Content-Type", "application/json").header("Content-Type", "text/plain");
        api.call(twice).await.error(415, "unsupported_media_type");
    }
}

pub(crate) async fn encoded_bodies_are_refused(f: &Fixture) {
    let api = funded(f).await;
    for route in taking_bodies() {
        let post = || Request::post_bytes(&route, good());
        for right in ["identity", "Identity", ""] {
            assert_taken(&api.call(post().header("Content-Encoding", right)).await);
        }
        for wrong in
            [&b"gzip"[..], b"br", b"deflate", b"zstd", b"aes128gcm", b"identity, gzip", b"gzip, identity", b"\xff"]
        {
            let message = api.call(post().header("Content-Encoding", wrong)).await.error(415, "unsupported_media_type");
            assert!(message.contains("Content-Encoding"), "{message}");
        }
        let twice = post().header("Content-Encoding", "identity").header("Content-Encoding", "gzip");
        api.call(twice).await.error(415, "unsupported_media_type");
    }
    // Who asks for nothing but an answer sends no body to decode.
    api.call(Request::get("/balance?user_id=1").header("Content-Encoding", "gzip")).await.ok();
}

pub(crate) async fn a_declared_length_over_the_limit_is_refused_at_once(f: &Fixture) {
    let api = funded(f).await;
    // A gateway waits a second for what a client may have sent already: all at once.
    join_all(taking_bodies().iter().map(|route| declared_too_long(api, route))).await;
    let counted = [("path", "/messages/send"), ("method", "POST"), ("status", "413")];
    assert!(api.metrics().await.sum("http_requests_total", &counted) >= 8.0);
}

async fn declared_too_long(api: Gateway, route: &str) {
    for length in ["262145", "100000000", "9223372036854775807", "18446744073709551615"] {
        let request = Request::post_bytes(route, "").header("Content-Length", length);
        // Not a byte of the body follows.
        let mut connection = Connection::open(api.address).await;
        let answer = connection.exchange(&request).await;
        answer.error(413, "payload_too_large");
        assert_eq!(answer.header("Connection"), Some("close"), "what follows cannot be told from the body");
        assert!(connection.is_closed().await);
        // Nor is the client told to send it.
        let mut connection = Connection::open(api.address).await;
        let answer = connection.exchange(&request.header("Expect", "100-continue")).await;
        answer.error(413, "payload_too_large");
        assert!(connection.is_closed().await);
    }
}

pub(crate) async fn nobody_is_told_to_send_a_body_that_is_refused(f: &Fixture) {
    let api = funded(f).await;
    for route in taking_bodies() {
        let expects = |kind: &str| {
            let request = Request::new("POST", &*route).header("Content-Type", kind);
            request.header("Content-Length", "100").header("Expect", "100-continue")
        };
        for request in [
            expects("text/plain"),
            expects("application/json; charset=utf-16"),
            expects("application/json").header("Content-Encoding", "gzip"),
        ] {
            let mut connection = Connection::open(api.address).await;
            connection.exchange(&request).await.error(415, "unsupported_media_type");
            assert!(connection.is_closed().await);
        }
    }
}

pub(crate) async fn bodies_are_bounded(f: &Fixture) {
    let api = funded(f).await;
    for route in taking_bodies() {
        let of_size = |size: usize| {
            let mut body = good().into_bytes();
            body.resize(size, b' ');
            Request::post_bytes(&route, body)
        };
        for size in [MAX_BODY - 1, MAX_BODY] {
            assert_taken(&api.call(of_size(size)).await);
            let chunked = of_size(size).chunked_bytes(10_000);
            let answer = Connection::open(api.address).await.exchange_bytes(&chunked, false).await;
            assert_taken(&answer.expect("an answer"));
        }
        // Far over the limit: the answer comes although the gateway does not read it all.
        for size in [MAX_BODY + 1, MAX_BODY + 2, 2 * MAX_BODY, 20 * MAX_BODY] {
            api.call(of_size(size)).await.error(413, "payload_too_large");
            let chunked = of_size(size).chunked_bytes(10_000);
            let answer = Connection::open(api.address).await.exchange_bytes(&chunked, false).await;
            answer.expect("an answer").error(413, "payload_too_large");
        }
    }
}

pub(crate) async fn a_body_in_chunks_is_put_together(f: &Fixture) {
    let api = funded(f).await;
    for size in [1, 7, 1000] {
        let bytes = Request::post("/messages/send", &message(1, &["111"])).chunked_bytes(size);
        Connection::open(api.address).await.exchange_bytes(&bytes, false).await.expect("an answer").accepted();
    }
    let head = Request::post_bytes("/messages/send", "").head();
    for chunks in ["x\r\n", "5\r\n{\"a\"", "-1\r\n", "ffffffffffffffffff\r\n", "2\r\n{}XX"] {
        let mut bytes = head.clone();
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        bytes.extend(chunks.bytes());
        let mut connection = Connection::open(api.address).await;
        connection.write(&bytes).await;
        connection.finish_writing().await;
        if let Some(answer) = connection.answer().await {
            assert_eq!(answer.status, 400, "{chunks:?}: {answer:?}");
        }
    }
    assert_eq!(api.balance(1).await, 97);
}

pub(crate) async fn half_a_body_is_no_body(f: &Fixture) {
    let api = funded(f).await;
    let whole = Request::post("/messages/send", &message(1, &["111"])).bytes();
    for cut in [1, 10, 40] {
        let mut connection = Connection::open(api.address).await;
        connection.write(&whole[..whole.len() - cut]).await;
        connection.finish_writing().await;
        if let Some(answer) = connection.answer().await {
            answer.error(400, "invalid_input");
        }
    }
    api.send(&message(1, &["111"])).await.accepted();
    assert_eq!(api.balance(1).await, 99, "only the whole one counts");
}

pub(crate) async fn a_body_that_does_not_come_is_not_waited_for(f: &Fixture) {
    let api = funded(f).await;
    let mut connections = Vec::new();
    for route in taking_bodies() {
        let mut bytes = Request::post_bytes(&route, "").head();
        bytes.extend(b"Content-Length: 100\r\n\r\n{\"customer_id\":1");
        let mut connection = Connection::open(api.address).await;
        connection.write(&bytes).await;
        connections.push(connection);
    }
    for mut connection in connections {
        connection.answer().await.expect("an answer").invalid("body");
        assert!(connection.is_closed().await, "the rest of the body must not be taken for a request");
    }
}
