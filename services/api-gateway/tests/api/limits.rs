//! Rate limits and backpressure: who is refused, how, and in which order.

use std::time::Duration;

use api_gateway::endpoints;
use serde_json::json;
use test_support::wait_until;
use tokio::task::JoinSet;

use crate::{
    send::with,
    support::{Answer, Fixture, Gateway, Request, message, routes::target, sql::Sql},
};

const PATIENCE: Duration = Duration::from_secs(20);

#[track_caller]
fn assert_rate_limited(answer: &Answer) {
    assert_eq!(answer.error(429, "rate_limit_exceeded"), "Too many requests. Please retry later.");
}

#[track_caller]
fn assert_overloaded(answer: &Answer) {
    assert_eq!(answer.error(503, "system_overloaded"), "The system is temporarily overloaded. Please retry later.");
    assert!(answer.header("Retry-After").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|it| it > 0)));
}

/// The customer's limit as the headers tell it: limit, remaining, reset, policy.
fn standing(answer: &Answer) -> [Option<&str>; 4] {
    ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"].map(|name| answer.header(name))
}

/// An event that waits to be published, inserted by hand; `name` makes it unique.
pub(crate) fn pending_row(name: &str) -> String {
    format!(
        "INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, priority, status)
            VALUES ('message', 'manual-backpressure-{name}', 'message.send', JSON_OBJECT(), 0, 'pending')"
    )
}

/// Calls until an answer has `status`; gives it, and how many others came before.
async fn until(status: u16, call: impl AsyncFn() -> Answer) -> (Answer, i64) {
    let mut others = 0_i64;
    let matching = async || {
        let answer = call().await;
        others += i64::from(answer.status != status);
        (answer.status == status).then_some(answer)
    };
    let answer = wait_until(PATIENCE, &format!("an answer with {status}"), matching).await;
    (answer, others)
}

pub(crate) async fn the_global_limit_covers_every_route(f: &Fixture) {
    let api = f.gateway(&[("GLOBAL_RATE_LIMIT_RPS", "1"), ("GLOBAL_RATE_LIMIT_BURST", "5")]).await;
    let before = api.metrics().await.sum("rate_limited_requests_total", &[("scope", "global")]);
    for _ in 0..5 {
        api.get("/balance?user_id=1").await.ok();
    }
    let others =
        [("GET", "/nowhere"), ("DELETE", "/balance"), ("GET", "/swagger/index.html"), ("GET", "/openapi.json")];
    let all = endpoints().iter().filter(|endpoint| endpoint.scope().is_some());
    let all = all.map(|endpoint| (endpoint.method(), endpoint.path())).chain(others);
    let requests: Vec<_> = all.map(|(method, path)| Request::new(method, target(path))).collect();
    // More at once than a second gives back: each route is refused at some time.
    for request in &requests {
        let mut calls = JoinSet::new();
        for _ in 0..30 {
            let request = request.clone();
            calls.spawn(async move { api.call(request).await });
        }
        let answers = calls.join_all().await;
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
        assert!(!refused.is_empty(), "{request:?}");
        refused.into_iter().for_each(assert_rate_limited);
    }
    for watched in ["/healthz", "/readyz", "/metrics"] {
        for _ in 0..20 {
            assert_eq!(api.get(watched).await.status, 200, "{watched} is never limited");
        }
    }
    let refused = api.metrics().await.sum("rate_limited_requests_total", &[("scope", "global")]) - before;
    assert!(refused >= 8.0, "{refused}");
}

pub(crate) async fn whoever_waits_as_told_passes(f: &Fixture) {
    let api = f.gateway(&[("GLOBAL_RATE_LIMIT_RPS", "1"), ("GLOBAL_RATE_LIMIT_BURST", "1")]).await;
    let (refused, _) = until(429, async || api.get("/balance?user_id=1").await).await;
    let seconds: u64 = refused.header("Retry-After").expect("Retry-After").parse().expect("whole seconds");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    api.get("/balance?user_id=1").await.ok();
}

pub(crate) async fn the_customers_limit_is_each_customers_own(f: &Fixture) {
    let api = f.gateway(&[("USER_RATE_LIMIT_RPS", "1"), ("USER_RATE_LIMIT_BURST", "3")]).await;
    api.fund(1, 1000).await;
    api.fund(2, 1000).await;
    let before = api.metrics().await.sum("rate_limited_requests_total", &[("scope", "user")]);
    for _ in 0..3 {
        api.send(&message(1, &["111"])).await.accepted();
    }
    let (refused, others) = until(429, async || api.send(&message(1, &["111"])).await).await;
    assert_rate_limited(&refused);
    assert_eq!(api.balance(1).await, 1000 - 3 - others, "a refused request costs nothing");
    for _ in 0..3 {
        api.send(&message(2, &["111"])).await.accepted();
    }
    for _ in 0..10 {
        api.fund(1, 1).await;
        api.history("user_id=1").await;
    }
    let refused = api.metrics().await.sum("rate_limited_requests_total", &[("scope", "user")]) - before;
    assert!(refused >= 1.0, "{refused}");
}

pub(crate) async fn twenty_a_second_is_the_customers_default(f: &Fixture) {
    let defaults = [("USER_RATE_LIMIT_RPS", ""), ("USER_RATE_LIMIT_BURST", "")];
    let api = f.gateway(&defaults).await;
    // No balance: what passes the limit is a 402, and costs the database little.
    for _ in 0..20 {
        api.send(&message(1, &["111"])).await.error(402, "insufficient_balance");
    }
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        calls.spawn(async move { api.send(&message(1, &["111"])).await.status });
    }
    let statuses = calls.join_all().await;
    assert!(statuses.contains(&429), "{statuses:?}");
}

pub(crate) async fn answers_to_sends_tell_where_the_customer_stands(f: &Fixture) {
    // One request comes back in an hour, so that the counts below do not depend on the time between them.
    let api = f.gateway(&[("USER_RATE_LIMIT_RPS", "1"), ("USER_RATE_LIMIT_BURST", "1000000")]).await;
    let first = api.call_once(&Request::post("/messages/send", &message(1, &["111"]))).await;
    assert_eq!(standing(&first), [Some("1000000"), Some("999999"), Some("1"), Some("1000000;w=1000000")]);
    assert_eq!(first.status, 402, "whatever the answer is");
    let invalid = api.send(&message(1, &[])).await;
    assert_eq!(standing(&invalid), [None; 4], "the limit was not asked");
    assert_eq!(standing(&api.get("/balance?user_id=1").await), [None; 4], "this route has no limit of its own");

    let strict = f.gateway(&[("USER_RATE_LIMIT_RPS", "1"), ("USER_RATE_LIMIT_BURST", "3")]).await;
    let (refused, _) = until(429, async || strict.send(&message(1, &["111"])).await).await;
    assert_eq!(standing(&refused), [Some("3"), Some("0"), Some("3"), Some("3;w=3")]);

    let unlimited = f.gateway(&[]).await;
    assert_eq!(standing(&unlimited.send(&message(1, &["111"])).await), [None; 4]);
}

pub(crate) async fn zero_switches_limits_off(f: &Fixture) {
    let api = f.gateway(&[("GLOBAL_RATE_LIMIT_BURST", "1"), ("USER_RATE_LIMIT_BURST", "1")]).await;
    api.fund(1, 100).await;
    for _ in 0..60 {
        api.send(&message(1, &["111"])).await.accepted();
    }
}

pub(crate) async fn a_backlog_above_the_threshold_is_refused(f: &Fixture) {
    let api = f.gateway(&[("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", "0")]).await;
    // The same database, the same backlog, but nobody minds it.
    let careless = [("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", "0"), ("BACKPRESSURE_ENABLED", "false")];
    let careless = f.gateway(&careless).await;
    api.fund(1, 100).await;
    let before = api.metrics().await.sum("backpressure_rejections_total", &[]);
    let mut sql = f.sql().await;
    sql.execute(&pending_row("1")).await;
    let (refused, accepted) = until(503, async || api.send(&message(1, &["111"])).await).await;
    assert_overloaded(&refused);
    assert_eq!(api.balance(1).await, 100 - accepted);
    assert!(api.metrics().await.sum("backpressure_rejections_total", &[]) > before);
    let shown = async || (api.metrics().await.sum("current_outbox_pending_events", &[]) >= 1.0).then_some(());
    wait_until(PATIENCE, "the gauge shows the backlog", shown).await;

    careless.send(&message(1, &["111"])).await.accepted();
    // Only sending is refused.
    api.fund(1, 1).await;
    api.history("user_id=1").await;
    assert_eq!(api.get("/readyz").await.status, 200);

    publish_all(&mut sql).await;
    let (answer, _) = until(200, async || api.send(&message(1, &["111"])).await).await;
    answer.accepted();
    sql.close().await;
}

pub(crate) async fn a_backlog_at_the_threshold_is_taken(f: &Fixture) {
    let api = f.gateway(&[("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", "3")]).await;
    // Without credits nothing is added to the backlog: 402 means that there was room.
    let call = async || api.send(&message(1, &["111"])).await;
    let mut sql = f.sql().await;
    for row in ["1", "2", "3", "4"] {
        sql.execute(&pending_row(row)).await;
    }
    assert_overloaded(&until(503, call).await.0);
    sql.execute("UPDATE outbox_events SET status = 'processed' WHERE aggregate_id = 'manual-backpressure-4'").await;
    until(402, call).await;
    for _ in 0..20 {
        call().await.error(402, "insufficient_balance");
    }
    // What is being published, or was given up, is no backlog.
    for (row, status) in [("5", "processing"), ("6", "failed")] {
        let row = pending_row(row).replace("'pending'", &format!("'{status}'"));
        sql.execute(&row).await;
    }
    sql.execute(&pending_row("7")).await;
    assert_overloaded(&until(503, call).await.0);
    publish_all(&mut sql).await;
    sql.close().await;
}

pub(crate) async fn express_and_normal_are_judged_apart(f: &Fixture) {
    let api = f.gateway(&[("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", "0")]).await;
    let mut sql = f.sql().await;
    sql.execute(&pending_row("1")).await;
    let express = with(&message(1, &["111"]), "type", json!("express"));
    let (refused, _) = until(503, async || api.send(&message(1, &["111"])).await).await;
    assert_overloaded(&refused);
    assert_eq!(refused.header("Backpressure-Signal"), Some("outbox_pending"));
    for _ in 0..10 {
        api.send(&express).await.error(402, "insufficient_balance");
    }
    let labels = [("signal", "outbox_pending"), ("lane", "normal")];
    assert!(api.metrics().await.sum("backpressure_signal_rejections_total", &labels) >= 1.0);
    publish_all(&mut sql).await;
    sql.execute(&pending_row("2").replace("JSON_OBJECT(), 0,", "JSON_OBJECT(), 10,")).await;
    assert_overloaded(&until(503, async || api.send(&express).await).await.0);
    until(402, async || api.send(&message(1, &["111"])).await).await;
    publish_all(&mut sql).await;
    sql.close().await;
}

/// 1,500 events wait all the time while two a second are published: that would take twelve minutes.
pub(crate) async fn a_backlog_that_would_take_too_long_is_refused(f: &Fixture) {
    let api = f.gateway(&[("BACKPRESSURE_MAX_DELAY_SECS", "60")]).await;
    let patient = f.gateway(&[("BACKPRESSURE_MAX_DELAY_SECS", "0")]).await;
    let mut sql = f.sql().await;
    for thousand in 0..2 {
        let rows: Vec<_> = (0..750)
            .map(|row| format!("('message', 'manual-{thousand}-{row}', 'message.send', JSON_OBJECT(), 0, 'pending')"))
            .collect();
        let columns = "aggregate_type, aggregate_id, event_type, payload, priority, status";
        sql.execute(&format!("INSERT INTO outbox_events ({columns}) VALUES {}", rows.join(","))).await;
    }
    let mut published = 0;
    let refused = wait_until(PATIENCE, "a refusal for the delay", async || {
        let one = "UPDATE outbox_events SET status = 'processed', next_run_at = CURRENT_TIMESTAMP WHERE aggregate_id =";
        sql.execute(&format!("{one} 'manual-0-{published}'")).await;
        published += 1;
        let answer = api.send(&message(1, &["111"])).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_overloaded(&refused);
    assert_eq!(refused.header("Backpressure-Signal"), Some("outbox_delay"));
    patient.send(&message(1, &["111"])).await.error(402, "insufficient_balance");
    publish_all(&mut sql).await;
    until(402, async || api.send(&message(1, &["111"])).await).await;
    sql.close().await;
}

async fn publish_all(sql: &mut Sql) {
    sql.execute("UPDATE outbox_events SET status = 'processed'").await;
}

pub(crate) async fn checks_come_in_the_contracts_order(f: &Fixture) {
    let settings =
        [("USER_RATE_LIMIT_RPS", "1"), ("USER_RATE_LIMIT_BURST", "1"), ("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", "0")];
    let api = f.gateway(&settings).await;
    let mut sql = f.sql().await;
    sql.execute(&pending_row("1")).await;
    // A customer each time, so that no rate limit is in the way of seeing the backlog.
    let next = std::sync::atomic::AtomicI64::new(1000);
    let customer = || next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    until(503, async || api.send(&message(customer(), &["111"])).await).await;

    // The body before the rate limit: wrong ones use nothing of it up, and are told so whatever else is the matter.
    let wrong = with(&message(1, &["111"]), "text", json!(""));
    for _ in 0..10 {
        api.send(&wrong).await.invalid("text");
        api.send_with_key(&message(1, &["111"]), "not one").await.invalid("Idempotency-Key");
    }
    // The backlog before the balance: this customer has none.
    assert_overloaded(&api.send(&message(1, &["111"])).await);
    // The rate limit before the backlog.
    let (refused, _) = until(429, async || api.send(&message(1, &["111"])).await).await;
    assert_rate_limited(&refused);
    for _ in 0..10 {
        api.send(&wrong).await.invalid("text");
    }
    publish_all(&mut sql).await;
    sql.close().await;
    until(402, async || api.send(&message(customer(), &["111"])).await).await.0.error(402, "insufficient_balance");
}

pub(crate) async fn replicas_count_for_themselves(f: &Fixture) {
    let settings = [("GLOBAL_RATE_LIMIT_RPS", "1"), ("GLOBAL_RATE_LIMIT_BURST", "2")];
    let gateways: [Gateway; 2] = [f.gateway(&settings).await, f.gateway(&settings).await];
    until(429, async || gateways[0].get("/balance?user_id=1").await).await;
    gateways[1].get("/balance?user_id=1").await.ok();
}
