//! Messages that are to be sent later, or by a time; and cancelling them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    send::with,
    support::{Answer, Fixture, Gateway, Request, list, message},
};

#[expect(clippy::disallowed_methods, reason = "a client says when by its own clock")]
fn in_seconds(seconds: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::seconds(seconds)
}

fn at(seconds: i64) -> Value {
    json!(in_seconds(seconds).to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn later(recipients: &[&str], seconds: i64) -> Value {
    with(&message(1, recipients), "send_at", at(seconds))
}

fn id(answer: &Answer) -> String {
    answer.ok()["message_identifier"].as_str().expect("an id").to_owned()
}

async fn cancel(api: Gateway, id: &str) -> Answer {
    api.call(Request::new("POST", format!("/messages/{id}/cancel"))).await
}

pub(crate) async fn a_scheduled_message_is_charged_now_and_sent_later(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let body = with(&later(&["111", "222"], 3_600), "validity_seconds", json!(300));
    let answer = api.send(&body).await;
    let told = answer.ok();
    assert_eq!([&told["status"], &told["price"], &told["segments"]], [&json!("scheduled"), &json!(2), &json!(1)]);
    assert_eq!(api.balance(1).await, 98);
    let found = api.get(format!("/messages/{}", id(&answer))).await.ok();
    let time = |member: &str| DateTime::parse_from_rfc3339(found[member].as_str().expect("a time")).expect("RFC 3339");
    assert_eq!(json!(time("send_at").to_utc().to_rfc3339_opts(SecondsFormat::Secs, true)), body["send_at"]);
    assert_eq!(time("expires_at") - time("send_at"), TimeDelta::seconds(300));
    assert_eq!(found["recipients"][0]["status"], "pending");
    let pending = api.history("user_id=1&status=pending").await;
    assert_eq!(list(&pending, "history").len(), 2);
    assert_eq!(list(&pending, "history")[0]["status"], "pending");
    // What has just been is now.
    for seconds in [0, -30] {
        assert_eq!(api.send(&later(&["333"], seconds)).await.ok()["status"], "processing");
    }
    let plain = with(&message(1, &["444"]), "validity_seconds", json!(300));
    assert_eq!(api.send(&plain).await.ok()["status"], "processing");
    let mut sql = f.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM outbox_events WHERE status = 'scheduled'").await, 1);
    assert_eq!(sql.number("SELECT COUNT(*) FROM outbox_events WHERE status = 'pending'").await, 3);
}

pub(crate) async fn a_cancelled_message_is_answered_in_the_same_way_again(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let scheduled = id(&api.send(&later(&["111", "222"], 3_600)).await);
    for _ in 0..2 {
        let answer = cancel(api, &scheduled).await.ok();
        assert_eq!(answer, json!({"status": "cancelled", "recipients": 2, "refunded": 2}));
        assert_eq!(api.balance(1).await, 100);
    }
    let found = api.get(format!("/messages/{scheduled}")).await.ok();
    assert_eq!([&found["recipients"][0]["status"], &found["recipients"][0]["error_code"]], ["failed", "cancelled"]);
    let sent = api.send(&message(1, &["333"])).await.accepted();
    let told = cancel(api, &sent).await.error(409, "not_cancellable");
    assert_eq!(told, "The message is on its way already.");
    cancel(api, "nothing").await.error(404, "not_found");
    let foreign = api.make_key(Some(2), &["send", "read"]).await;
    let request = Request::new("POST", format!("/messages/{scheduled}/cancel")).with_key(&foreign.key);
    api.call(request).await.error(404, "not_found");
    let named = |user| Request::new("POST", format!("/messages/{scheduled}/cancel?user_id={user}"));
    api.call(named(1).with_key(&foreign.key)).await.error(403, "forbidden");
    api.call(named(2)).await.error(404, "not_found");
    assert_eq!(api.call(named(1)).await.ok()["status"], "cancelled");
}

/// The answer to the first was lost, and its time is over when it is asked for again.
pub(crate) async fn a_late_retry_gets_the_first_answer(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let body = later(&["111"], 1);
    let first = api.send_with_key(&body, "a").await;
    assert_eq!(first.ok()["status"], "scheduled");
    let mut sql = f.sql().await;
    // As if two minutes had passed since: the same request, of which the gateway keeps the digest.
    let missed = later(&["111"], -120);
    let digest = {
        let probe = api.send_with_key(&missed, "b").await;
        assert_eq!(probe.error(400, "invalid_input"), "send_at must lie between now and 35 days ahead");
        sql.number("SELECT COUNT(*) FROM idempotency_keys").await
    };
    assert_eq!(digest, 1, "what was refused leaves its key free");
    let other = api.send_with_key(&missed, "a").await;
    other.error(422, "idempotency_mismatch");
    let again = api.send_with_key(&body, "a").await;
    assert!(again.is_replay());
    assert_eq!(again.ok(), first.ok());
    // The same instant in another offset is the same request.
    let time = DateTime::parse_from_rfc3339(body["send_at"].as_str().expect("a time")).expect("RFC 3339");
    let offset = chrono::FixedOffset::east_opt(12_600).expect("an offset");
    let elsewhere = with(&body, "send_at", json!(time.with_timezone(&offset).to_rfc3339()));
    assert!(api.send_with_key(&elsewhere, "a").await.is_replay());
    assert_eq!(api.balance(1).await, 99);
}
