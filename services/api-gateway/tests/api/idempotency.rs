//! `Idempotency-Key`: the same request again is the same answer, and one charge.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::wait_until;
use tokio::task::JoinSet;

use crate::{
    send::with,
    support::{Answer, Fixture, Request, message},
};

fn send(body: &Value, key: &str) -> Request {
    Request::post("/messages/send", body).key(key)
}

fn top_up(body: &Value, key: &str) -> Request {
    Request::post("/balance/add", body).key(key)
}

/// `again` repeats `first`, byte by byte, and says so.
#[track_caller]
fn assert_replayed(first: &Answer, again: &Answer) {
    assert!(!first.is_replay(), "the first answer repeats nothing");
    assert!(again.is_replay(), "{again:?}");
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("Content-Type"), first.header("Content-Type"));
}

pub(crate) async fn a_retry_gets_the_first_answer(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 2).await;
    let body = message(1, &["111", "222"]);
    let first = api.call(send(&body, "order-1")).await;
    first.accepted();
    assert_eq!(api.balance(1).await, 0);
    for _ in 0..3 {
        assert_replayed(&first, &api.call(send(&body, "order-1")).await);
    }
    let the_same_otherwise_written = [
        r#"{"recipients":["111","222"],"text":"hi","customer_id":1}"#,
        r#" { "customer_id" : 1, "text":"\u0068i", "recipients":["111","222","111"], "type":"normal", "x":[] } "#,
    ];
    for body in the_same_otherwise_written {
        assert_replayed(&first, &api.call(Request::post_bytes("/messages/send", body).key("order-1")).await);
    }
    assert_replayed(&first, &f.gateway(&[]).await.call(send(&body, "order-1")).await);
    assert_eq!(count(f, "outbox_events").await, 1);
    assert_eq!(count(f, "message_status").await, 2);
    assert_eq!(count(f, "idempotency_keys").await, 1);
}

pub(crate) async fn another_request_under_the_key_is_refused(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let body = message(1, &["111", "222"]);
    let first = api.call(send(&body, "k")).await;
    let others = [
        with(&body, "text", json!("hi ")),
        with(&body, "recipients", json!(["111"])),
        with(&body, "recipients", json!(["222", "111"])),
        with(&body, "type", json!("express")),
    ];
    for other in &others {
        api.call(send(other, "k")).await.error(422, "idempotency_mismatch");
    }
    assert_eq!(api.balance(1).await, 98);
    assert_replayed(&first, &api.call(send(&body, "k")).await);
}

pub(crate) async fn retries_at_once_are_charged_once(f: &Fixture) {
    // Two gateways: they know nothing of each other but the database.
    let gateways = [f.gateway(&[]).await, f.gateway(&[]).await];
    gateways[0].fund(1, 100).await;
    gateways[0].fund(2, 1).await;
    let requests = [send(&message(1, &["111"]), "k"), top_up(&json!({"user_id": 2, "balance": 10}), "k")];
    let mut calls = JoinSet::new();
    for round in 0..40 {
        let (api, request) = (gateways[round % 2], requests[round / 2 % 2].clone());
        calls.spawn(async move { (request.target.clone(), api.call(request).await) });
    }
    let answers = calls.join_all().await;
    for request in requests {
        let mine = answers.iter().filter(|(target, _)| *target == request.target).map(|(_, answer)| answer);
        let mine: Vec<&Answer> = mine.collect();
        let firsts: Vec<_> = mine.iter().filter(|answer| answer.status == 200 && !answer.is_replay()).collect();
        assert_eq!(firsts.len(), 1, "{mine:?}");
        for answer in &mine {
            match answer.status {
                200 => assert_eq!(answer.body, firsts[0].body),
                _ => drop(answer.error(409, "idempotency_in_progress")),
            }
        }
        assert_replayed(firsts[0], &gateways[1].call(request).await);
    }
    assert_eq!(gateways[0].balance(1).await, 99);
    assert_eq!(gateways[0].balance(2).await, 11);
    assert_eq!(count(f, "outbox_events").await, 1);
}

pub(crate) async fn a_key_whose_request_still_runs_is_refused(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    for request in [send(&message(1, &["111"]), "k"), top_up(&json!({"user_id": 1, "balance": 1}), "k")] {
        let before = api.balance(1).await;
        let mut sql = f.sql().await;
        sql.lock_balance(1).await;
        let mut calls = JoinSet::new();
        for _ in 0..2 {
            let request = request.clone();
            calls.spawn(async move { api.call(request).await });
        }
        // One of them waits for the balance; the other is told so at once.
        let refused = calls.join_next().await.expect("two calls").expect("it ends");
        refused.error(409, "idempotency_in_progress");
        sql.execute("COMMIT").await;
        sql.close().await;
        calls.join_next().await.expect("two calls").expect("it ends").ok();
        api.call(request).await.ok();
        assert_eq!((api.balance(1).await - before).abs(), 1, "changed once");
    }
}

pub(crate) async fn a_key_belongs_to_its_customer_and_route(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    api.fund(2, 100).await;
    let requests = [
        send(&message(1, &["111"]), "k"),
        send(&message(2, &["111"]), "k"),
        send(&message(1, &["111"]), "K"),
        top_up(&json!({"user_id": 1, "balance": 1}), "k"),
        top_up(&json!({"user_id": 2, "balance": 1}), "k"),
    ];
    let mut firsts = Vec::new();
    for request in &requests {
        let first = api.call(request.clone()).await;
        first.ok();
        assert!(!first.is_replay(), "{request:?}");
        firsts.push(first);
    }
    for (request, first) in requests.iter().zip(&firsts) {
        assert_replayed(first, &api.call(request.clone()).await);
    }
    assert_eq!((api.balance(1).await, api.balance(2).await), (99, 100));
}

pub(crate) async fn keys_are_short_visible_ascii(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let visible: String = (b'!'..=b'~').map(char::from).collect();
    let requests = || {
        [
            Request::post("/messages/send", &message(1, &["111"])),
            Request::post("/balance/add", &json!({"user_id": 1, "balance": 1})),
        ]
    };
    for request in requests() {
        for right in ["k", &visible, &"x".repeat(255)] {
            api.call(request.clone().key(right)).await.ok();
            assert!(api.call(request.clone().key(right)).await.is_replay());
        }
        let wrong: [&[u8]; 8] =
            [b"", b"   ", b"two words", b"a\tb", &[b'x'; 256], &[b'x'; 5000], "é".as_bytes(), b"\xff\xfe"];
        for key in wrong {
            api.call(request.clone().key(key)).await.invalid("Idempotency-Key");
        }
        api.call(request.clone().key("a").key("a")).await.invalid("Idempotency-Key");
    }
    assert_eq!(api.balance(1).await, 100, "three messages and three top-ups");
}

pub(crate) async fn a_refused_request_leaves_its_key_free(f: &Fixture) {
    let api = f.gateway(&[("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", "1")]).await;
    api.fund(1, 1).await;
    let body = message(1, &["111", "222"]);
    api.call(send(&with(&body, "text", json!("")), "k")).await.invalid("text");
    api.call(send(&body, "k")).await.error(402, "insufficient_balance");
    api.fund(1, 10).await;

    let mut sql = f.sql().await;
    for row in ["a", "b"] {
        sql.execute(&crate::limits::pending_row(row)).await;
    }
    let overloaded = async || (api.call(send(&message(9, &["111"]), "k")).await.status == 503).then_some(());
    wait_until(Duration::from_secs(20), "the backlog is noticed", overloaded).await;
    api.call(send(&body, "k")).await.error(503, "system_overloaded");
    sql.execute("DELETE FROM outbox_events").await;
    sql.close().await;
    let not_overloaded = async || (api.call(send(&message(9, &["111"]), "k")).await.status == 402).then_some(());
    wait_until(Duration::from_secs(20), "the backlog is gone", not_overloaded).await;

    // Even another request may use the key now.
    let other = with(&body, "text", json!("something else"));
    let first = api.call(send(&other, "k")).await;
    first.accepted();
    assert_replayed(&first, &api.call(send(&other, "k")).await);
    api.call(send(&body, "k")).await.error(422, "idempotency_mismatch");

    api.call(top_up(&json!({"user_id": 1, "balance": 0}), "k")).await.invalid("balance");
    api.call(top_up(&json!({"user_id": 1, "balance": 1}), "k")).await.ok();
    assert_eq!(api.balance(1).await, 10);
}

pub(crate) async fn a_repeated_top_up_adds_once(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let body = json!({"user_id": 1, "balance": 100, "description": "top-up"});
    let first = api.call(top_up(&body, "k")).await;
    assert_eq!(first.ok()["balance"], json!(100));
    api.fund(1, 5).await;
    // The first answer, not the balance of now.
    assert_replayed(&first, &api.call(top_up(&body, "k")).await);
    let otherwise_written = r#"{ "description":"top\u002dup", "balance":100, "user_id":1, "x":null }"#;
    assert_replayed(&first, &api.call(Request::post_bytes("/balance/add", otherwise_written).key("k")).await);
    for (field, value) in [("balance", json!(101)), ("description", json!("other")), ("description", Value::Null)] {
        api.call(top_up(&with(&body, field, value), "k")).await.error(422, "idempotency_mismatch");
    }
    assert_eq!(api.balance(1).await, 105);
    assert_eq!(count(f, "user_transactions").await, 2);
}

pub(crate) async fn keys_end_after_24_hours(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    let (body, add) = (message(1, &["111"]), json!({"user_id": 1, "balance": 3}));
    let first = [api.call(send(&body, "k")).await, api.call(top_up(&add, "k")).await];
    age_keys(f, 24 * 3600 - 60).await;
    assert_replayed(&first[0], &api.call(send(&body, "k")).await);
    assert_replayed(&first[1], &api.call(top_up(&add, "k")).await);
    age_keys(f, 24 * 3600 + 1).await;
    for request in [send(&with(&body, "text", json!("new")), "k"), top_up(&add, "k")] {
        let anew = api.call(request.clone()).await;
        assert!(!anew.is_replay(), "{request:?}");
        assert_replayed(&anew, &api.call(request).await);
    }
    assert_eq!(api.balance(1).await, 10 - 2 + 6);
}

/// Makes all keys `age` seconds old.
async fn age_keys(f: &Fixture, age: u32) {
    let mut sql = f.sql().await;
    let then = if f.is_server() {
        format!("UTC_TIMESTAMP(6) - INTERVAL {age} SECOND")
    } else {
        format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '-{age} seconds')")
    };
    sql.execute(&format!("UPDATE idempotency_keys SET created_at = {then}")).await;
    sql.close().await;
}

async fn count(f: &Fixture, table: &str) -> i64 {
    let mut sql = f.sql().await;
    let count = sql.number(&format!("SELECT COUNT(*) FROM {table}")).await;
    sql.close().await;
    count
}

pub(crate) async fn a_charge_whose_key_cannot_be_stored_is_none(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    let mut sql = f.sql().await;
    sql.execute(if f.is_server() {
        "CREATE TRIGGER no_keys BEFORE INSERT ON idempotency_keys FOR EACH ROW SIGNAL SQLSTATE '45000'"
    } else {
        "CREATE TRIGGER no_keys BEFORE INSERT ON idempotency_keys BEGIN SELECT RAISE(ABORT, 'no_keys'); END"
    })
    .await;
    let requests = [send(&message(1, &["111"]), "k"), top_up(&json!({"user_id": 1, "balance": 1}), "k")];
    for request in &requests {
        // The one way to a 500: somebody has broken the database.
        let message = api.call(request.clone()).await.error(500, "internal_error");
        assert!(!message.contains("no_keys") && !message.contains("idempotency_keys"), "{message:?} tells too much");
    }
    assert_eq!(api.balance(1).await, 10);
    for table in ["message_status", "outbox_events"] {
        assert_eq!(sql.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
    sql.execute("DROP TRIGGER no_keys").await;
    sql.close().await;
    for request in requests {
        assert!(!api.call(request).await.is_replay());
    }
    assert_eq!(api.balance(1).await, 10 - 1 + 1);
}
