//! `HEAD`: what `GET` answers, without the body.

use crate::support::{Answer, Connection, Fixture, Request, message};

/// Every route that answers GET, some of them with what it refuses.
const TARGETS: [&str; 14] = [
    "/balance?user_id=1",
    "/balance?user_id=1&limit=1",
    "/balance",
    "/balance?user_id=1&limit=501",
    "/messages/history?user_id=1",
    "/messages/history?status=lost",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/swagger/index.html",
    "/swagger/swagger-ui-bundle.js",
    "/swagger/swagger-initializer.js",
    "/swagger/nothing.html",
    "/nowhere",
];

/// Status and headers but for the time.
fn head_of(answer: &Answer) -> (u16, Vec<(String, String)>) {
    let mut headers: Vec<_> = answer.headers.clone();
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
    headers.sort();
    (answer.status, headers)
}

pub(crate) async fn head_is_get_without_a_body(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    api.send(&message(1, &["111"])).await.accepted();
    let mut connection = Connection::open(api.address).await;
    for target in TARGETS {
        let whole = connection.exchange(&Request::get(target)).await;
        let head = connection.exchange(&Request::new("HEAD", target)).await;
        assert_eq!(head_of(&head), head_of(&whole), "{target}");
        assert_eq!(head.header("Content-Length"), Some(whole.body.len().to_string().as_str()), "{target}");
    }
    // Its length changes from one moment to the next.
    let (whole, head) = (api.get("/metrics").await, connection.exchange(&Request::new("HEAD", "/metrics")).await);
    assert_eq!((head.status, head.header("Content-Type")), (200, whole.header("Content-Type")));
    assert!(head.header("Content-Length").is_some_and(|length| length != "0"));
    // Where the body should not be comes the next answer.
    connection.exchange(&Request::get("/balance?user_id=1")).await.ok();
    let old = connection.exchange_bytes(b"HEAD /healthz HTTP/1.0\r\n\r\n", true).await.expect("an answer");
    assert_eq!(old.status, 200);
    assert!(connection.is_closed().await, "a body came, or nothing ended it");
}

pub(crate) async fn head_is_measured_and_limited_as_itself(f: &Fixture) {
    let api = f.gateway(&[("GLOBAL_RATE_LIMIT_RPS", "1"), ("GLOBAL_RATE_LIMIT_BURST", "1")]).await;
    let labels = [("path", "/openapi.json"), ("method", "HEAD"), ("status", "429")];
    let refused = async || {
        let answer = api.call_once(&Request::new("HEAD", "/openapi.json")).await;
        (answer.status == 429 && answer.header("Retry-After").is_some()).then_some(())
    };
    test_support::wait_until(std::time::Duration::from_secs(20), "a refusal", refused).await;
    assert!(api.metrics().await.sum("http_requests_total", &labels) >= 1.0);
    for watched in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(api.call_once(&Request::new("HEAD", watched)).await.status, 200, "{watched}");
    }
}
