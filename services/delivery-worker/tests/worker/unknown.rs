//! Outcomes that nobody knows: put off, asked about again under the same key, and never refunded on a guess.

use operator_simulator::{Mode, Rule};
use uuid::Uuid;

use crate::support::{Fixture, PRICE, config, message};

/// The first call of each key ends without an answer, the next ones are accepted.
const ONCE_SILENT: Rule = Rule { mode: Mode::Reset, times: Some(1) };

#[tokio::test]
async fn an_unknown_outcome_is_put_off_by_half_of_the_messages_age() {
    let fixture = Fixture::new().await;
    fixture.simulator.set_behaviour("a", Mode::Reset).expect("valid");
    let requests = ["new", "older", "oldest"].map(|id| message(id, &["+4915110"]));
    fixture.accept(&requests).await;
    fixture.sql.age("older", 40).await;
    fixture.sql.age("oldest", 600).await;
    let worker = fixture.worker(&config(), fixture.operators(&["a", "b"])).await;
    fixture.publish(&requests).await;

    fixture.answered("ok", 3).await;
    for (id, seconds) in [("new", 5), ("older", 20), ("oldest", 60)] {
        assert_eq!(fixture.sql.rows(id).await, ["sending"], "{id}: nobody's");
        let (status, delay) = fixture.sql.event(id).await;
        let delay = delay.expect("it waits");
        assert_eq!(status, "pending");
        assert!((seconds * 800..=seconds * 1_220).contains(&delay), "{id}: {delay} ms");
    }
    assert_eq!(fixture.calls().len(), 3, "one call each, and none of b while a may have it");
    assert_eq!(fixture.metrics.value(r#"recipients_settled_total{result="deferred"}"#), 3);
    assert_eq!(fixture.spent().await, 3 * PRICE);
    worker.stop().await;
    assert_eq!(fixture.waiting(), 0, "all are acknowledged: the outbox brings them back");
    fixture.remove().await;
}

#[tokio::test]
async fn a_delivery_is_kept_while_the_outbox_cannot_bring_it_back() {
    let fixture = Fixture::with_queues_of(1).await;
    fixture.simulator.set_behaviour("a", Mode::Reset).expect("valid");
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    let request = message("m1", &["+4915110"]);
    fixture.accept(std::slice::from_ref(&request)).await;
    // The relay has published it, and has yet to record that.
    fixture.sql.execute("UPDATE outbox_events SET status = 'processing'").await;
    fixture.publish(&[request]).await;

    fixture.metrics.reaches_queries("defer", "ok", 1).await;
    assert_eq!(fixture.sql.event("m1").await, ("processing".to_owned(), None));
    assert!(!fixture.publish_garbage().await, "it is still in hand");
    fixture.sql.execute("UPDATE outbox_events SET status = 'processed'").await;
    fixture.answered("ok", 1).await;
    assert!(fixture.sql.event("m1").await.1.is_some(), "it waits in the outbox");
    assert_eq!(fixture.sql.rows("m1").await, ["sending"]);
    assert_eq!(fixture.calls(), ["a m1:+4915110"; 2], "asked again from here, under the same key");
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn an_operator_that_may_have_it_is_asked_again_under_the_same_key() {
    let fixture = Fixture::new().await;
    fixture.simulator.set_behaviour("a", ONCE_SILENT).expect("valid");
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    // With the time of its acceptance, which the metric is made from.
    let id = Uuid::now_v7().to_string();
    let request = message(&id, &["+4915110"]);
    fixture.send(std::slice::from_ref(&request)).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows(&id).await, ["sending"]);

    // As the relay does when the time has come.
    fixture.publish(&[request]).await;
    fixture.answered("ok", 2).await;
    assert_eq!(fixture.sql.rows(&id).await, ["done a"]);
    assert_eq!(fixture.calls(), vec![format!("a {id}:+4915110"); 2]);
    let first_calls = fixture.metrics.value(r#"accept_to_operator_seconds_count{type="normal"}"#);
    assert_eq!(first_calls, 1, "the second call is not a message's first");
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_rejection_alone_does_not_fail_what_another_operator_may_have() {
    let fixture = Fixture::new().await;
    fixture.simulator.set_behaviour("a", Mode::Reject { code: 422 }).expect("valid");
    let worker = fixture.worker(&config(), fixture.operators(&["a", "b"])).await;
    let requests = ["first", "resumed"].map(|id| message(id, &["+4915110"]));
    fixture.accept(&requests).await;
    fixture.sql.change("resumed", "status = 'sending'").await;
    fixture.publish(&requests).await;

    fixture.answered("ok", 2).await;
    assert_eq!(fixture.sql.rows("first").await, ["failed a"]);
    assert_eq!(fixture.sql.rows("resumed").await, ["done b"]);
    assert_eq!(fixture.spent().await, PRICE);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn the_next_operator_is_asked_when_the_outcome_stays_unknown_for_30_seconds() {
    let fixture = Fixture::new().await;
    fixture.simulator.set_behaviour("a", Mode::Reset).expect("valid");
    let worker = fixture.worker(&config(), fixture.operators(&["a", "b"])).await;
    let requests = ["overdue", "in-time"].map(|id| message(id, &["+4915110"]));
    fixture.accept(&requests).await;
    for (id, age) in [("overdue", 31), ("in-time", 10)] {
        fixture.sql.change(id, "status = 'sending'").await;
        fixture.sql.age(id, age).await;
    }
    fixture.publish(&requests).await;

    fixture.answered("ok", 2).await;
    assert_eq!(fixture.sql.rows("overdue").await, ["done b"]);
    assert_eq!(fixture.sql.rows("in-time").await, ["sending"]);
    let mut calls = fixture.calls();
    calls.sort();
    assert_eq!(calls, ["a in-time:+4915110", "a overdue:+4915110", "b overdue:+4915110"]);
    worker.stop().await;
    fixture.remove().await;
}
