//! What an operator's answer makes of a recipient, and when the delivery is acknowledged.

use operator_simulator::{Behaviour, Mode};
use operators::BreakerConfig;

use crate::support::{Fixture, Held, PRICE, Reply, config, message};

#[tokio::test]
async fn an_accepted_message_is_done_and_names_its_operator() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(&config(), fixture.operators(&["a", "b"])).await;
    fixture.send(&[message("m1", &["+4915110", "+4915111"])]).await;

    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["done a", "done a"]);
    let mut calls = fixture.calls();
    calls.sort();
    assert_eq!(calls, ["a m1:+4915110", "a m1:+4915111"]);
    assert_eq!(fixture.metrics.value(r#"recipients_settled_total{result="done"}"#), 2);
    assert_eq!(fixture.spent().await, 2 * PRICE);
    worker.stop().await;
    assert_eq!(fixture.waiting(), 0, "it was acknowledged");
    assert_eq!(fixture.dead_letters().await, Vec::<String>::new());
    fixture.remove().await;
}

#[tokio::test]
async fn a_delivery_is_acknowledged_after_its_outcome_is_stored_and_not_before() {
    let fixture = Fixture::with_queues_of(1).await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.worker(&config(), operator.operators()).await;
    fixture.send(&[message("m1", &["+4915110"])]).await;
    operator.reaches(1).await;
    assert!(!fixture.publish_garbage().await, "it is in hand");

    fixture.sql.lock().await;
    operator.answer(1);
    // Settling, the second batch, waits for the lock, which is not given back before the queue was looked at.
    fixture.metrics.reaches(r#"batch_size_count{lane="states"}"#, 2).await;
    assert!(!fixture.publish_garbage().await, "it is still in hand");
    fixture.sql.unlock().await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["done held"]);
    assert!(fixture.publish_garbage().await, "it has left the queue");
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_rejected_recipient_fails_and_is_refunded_once() {
    let fixture = Fixture::new().await;
    let behaviour = Behaviour::from(Mode::ACCEPT).with_recipient("+4915111", Mode::Reject { code: 422 });
    fixture.simulator.set_behaviour("a", behaviour).expect("valid");
    let worker = fixture.worker(&config(), fixture.operators(&["a", "b"])).await;
    let request = message("m1", &["+4915110", "+4915111"]);
    fixture.send(std::slice::from_ref(&request)).await;

    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["done a", "failed a"]);
    assert_eq!(fixture.metrics.value(r#"recipients_settled_total{result="failed"}"#), 1);
    assert_eq!(fixture.spent().await, PRICE);

    fixture.publish(&[request]).await;
    fixture.answered("ok", 2).await;
    assert_eq!(fixture.calls().len(), 2, "nobody is asked again");
    assert_eq!(fixture.spent().await, PRICE, "nothing is given back twice");
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_message_that_no_operator_takes_fails_and_is_refunded() {
    let fixture = Fixture::new().await;
    for operator in ["a", "b"] {
        fixture.simulator.set_behaviour(operator, Mode::Status { code: 503 }).expect("valid");
    }
    let worker = fixture.worker(&config(), fixture.operators(&["a", "b"])).await;
    fixture.send(&[message("m1", &["+4915110"])]).await;

    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["failed"]);
    assert_eq!(fixture.calls(), ["a m1:+4915110", "b m1:+4915110"]);
    assert_eq!(fixture.spent().await, 0);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn an_operator_that_keeps_failing_is_passed_over() {
    let fixture = Fixture::new().await;
    fixture.simulator.set_behaviour("a", Mode::Status { code: 503 }).expect("valid");
    let mut operators = fixture.operators(&["a", "b"]);
    operators.breaker = BreakerConfig { failure_threshold: 1, ..operators.breaker };
    let worker = fixture.worker(&config(), operators).await;
    for (number, id) in (1..).zip(["m1", "m2"]) {
        fixture.send(&[message(id, &["+4915110"])]).await;
        fixture.answered("ok", number).await;
        assert_eq!(fixture.sql.rows(id).await, ["done b"]);
    }
    assert_eq!(fixture.calls(), ["a m1:+4915110", "b m1:+4915110", "b m2:+4915110"]);
    worker.stop().await;
    fixture.remove().await;
}
