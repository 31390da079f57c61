//! Whose a recipient is: leases, final states, and what was never accepted.

use crate::support::{Fixture, Held, PRICE, Reply, config, message};

const NONE: [&str; 0] = [];

#[tokio::test]
async fn a_recipient_that_another_worker_holds_is_waited_for_and_not_sent() {
    let fixture = Fixture::with_queues_of(1).await;
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    let request = message("m1", &["+4915110"]);
    fixture.accept(std::slice::from_ref(&request)).await;
    fixture.sql.take_for_another("m1", 3_600_000).await;
    fixture.publish(&[request]).await;

    fixture.metrics.reaches_queries("begin_sending", "ok", 1).await;
    assert!(!fixture.publish_garbage().await, "it is kept in hand");
    assert_eq!(fixture.sql.rows("m1").await, ["sending under another"]);
    fixture.sql.change("m1", "status = 'done', provider = 'b', claimed_by = NULL, claimed_until = NULL").await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.calls(), NONE);
    assert_eq!(fixture.sql.rows("m1").await, ["done b"]);
    worker.stop().await;
    assert_eq!(fixture.waiting(), 0);
    fixture.remove().await;
}

#[tokio::test]
async fn a_recipient_is_taken_over_when_the_lease_of_its_worker_ends() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    let requests = ["dead", "dying"].map(|id| message(id, &["+4915110"]));
    fixture.accept(&requests).await;
    fixture.sql.take_for_another("dead", -1_000).await;
    fixture.sql.take_for_another("dying", 400).await;
    fixture.publish(&requests).await;

    fixture.answered("ok", 2).await;
    for id in ["dead", "dying"] {
        assert_eq!(fixture.sql.rows(id).await, ["done a"]);
    }
    assert_eq!(fixture.calls(), ["a dead:+4915110", "a dying:+4915110"], "under the keys of before");
    assert_eq!(fixture.metrics.value(r#"accept_to_operator_seconds_count{type="normal"}"#), 0, "no first calls");
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_worker_whose_lease_was_taken_over_records_and_refunds_nothing() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(422)).await;
    let worker = fixture.worker(&config(), operator.operators()).await;
    fixture.send(&[message("m1", &["+4915110"])]).await;
    operator.reaches(1).await;

    fixture.sql.take_for_another("m1", 3_600_000).await;
    operator.answer(1);
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["sending under another"]);
    assert_eq!(fixture.spent().await, PRICE);
    assert_eq!(fixture.metrics.value(r#"recipients_settled_total{result="failed"}"#), 0);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_finished_message_that_comes_again_is_acknowledged_and_not_sent() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    let request = message("m1", &["+4915110"]);
    fixture.accept(std::slice::from_ref(&request)).await;
    fixture.sql.change("m1", "status = 'done', provider = 'b'").await;
    fixture.publish(&[request]).await;

    fixture.answered("ok", 1).await;
    assert_eq!(fixture.calls(), NONE);
    assert_eq!(fixture.sql.rows("m1").await, ["done b"]);
    worker.stop().await;
    assert_eq!(fixture.waiting(), 0);
    fixture.remove().await;
}

#[tokio::test]
async fn two_copies_at_once_are_sent_once() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.worker(&config(), operator.operators()).await;
    let request = message("m1", &["+4915110"]);
    fixture.accept(std::slice::from_ref(&request)).await;
    fixture.publish(&[request.clone(), request]).await;
    operator.reaches(1).await;
    fixture.waits(0).await;

    operator.answer(2);
    fixture.answered("ok", 2).await;
    assert_eq!(operator.keys(), ["m1:+4915110"]);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_was_never_accepted_is_not_sent() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    fixture.accept(&[message("m1", &["+4915110"])]).await;
    // One has a recipient that was never charged, the other has no other.
    fixture.publish(&[message("m1", &["+4915110", "+4915111"]), message("stranger", &["+4915110"])]).await;

    fixture.answered("dead_letter", 1).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.calls(), ["a m1:+4915110"]);
    assert_eq!(fixture.sql.rows("m1").await, ["done a"]);
    worker.stop().await;
    assert_eq!(fixture.dead_letters().await, ["stranger"]);
    fixture.remove().await;
}

#[tokio::test]
async fn what_is_no_message_goes_to_the_dead_letter_queue() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    assert!(fixture.publish_garbage().await);
    fixture.send(&[message("m1", &["+4915110"])]).await;

    fixture.answered("malformed", 1).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["done a"], "it holds up nothing");
    worker.stop().await;
    assert_eq!(fixture.dead_letters().await, ["garbage"]);
    fixture.remove().await;
}
