//! The database or its schema away, and back; and a database that refuses one of many.

use std::time::Duration;

use crate::support::{Fixture, Held, PRICE, Reply, config, eventually, message};

/// How long an operation may wait for a database that somebody else keeps: short, so that a test sees it fail.
const PATIENCE: Duration = Duration::from_millis(200);

/// Makes the database refuse a new state for one number.
fn refuse(number: &str, status: &str) -> String {
    format!(
        "CREATE TRIGGER refuse BEFORE UPDATE ON message_status
         WHEN NEW.recipient = '{number}' AND NEW.status = '{status}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
    )
}

#[tokio::test]
async fn an_outcome_is_stored_when_the_database_is_back_and_nothing_is_sent_twice() {
    let fixture = Fixture::with_queues_of(1).await;
    let operator = Held::start(Reply::Status(422)).await;
    let worker = fixture.hasty_worker(&config(), operator.operators(), PATIENCE).await;
    fixture.send(&[message("m1", &["+4915110"])]).await;
    operator.reaches(1).await;

    fixture.sql.lock().await;
    operator.answer(1);
    fixture.metrics.reaches_queries("settle", "error", 2).await;
    assert!(!fixture.publish_garbage().await, "it is still in hand");
    fixture.sql.unlock().await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["failed held"]);
    assert_eq!(fixture.spent().await, 0);
    assert_eq!(operator.keys(), ["m1:+4915110"]);
    worker.stop().await;
    assert_eq!(fixture.waiting(), 0);
    fixture.remove().await;
}

#[tokio::test]
async fn a_message_is_kept_until_the_database_is_back_to_begin_with_it() {
    let fixture = Fixture::with_queues_of(1).await;
    let worker = fixture.hasty_worker(&config(), fixture.operators(&["a"]), PATIENCE).await;
    let request = message("m1", &["+4915110"]);
    fixture.accept(std::slice::from_ref(&request)).await;
    fixture.sql.lock().await;
    fixture.publish(&[request]).await;

    fixture.metrics.reaches_queries("begin_sending", "error", 2).await;
    assert!(!fixture.publish_garbage().await, "it is in hand");
    assert_eq!(fixture.calls().len(), 0, "nothing is sent without a lease");
    fixture.sql.unlock().await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["done a"]);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn an_unknown_outcome_is_put_off_when_the_database_is_back() {
    let fixture = Fixture::with_queues_of(1).await;
    let operator = Held::start(Reply::Close).await;
    let worker = fixture.hasty_worker(&config(), operator.operators(), PATIENCE).await;
    fixture.send(&[message("m1", &["+4915110"])]).await;
    operator.reaches(1).await;

    fixture.sql.lock().await;
    operator.answer(1);
    fixture.metrics.reaches_queries("defer", "error", 2).await;
    assert!(!fixture.publish_garbage().await, "it is still in hand");
    fixture.sql.unlock().await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["sending"]);
    assert_eq!(fixture.sql.event("m1").await.0, "pending");
    assert_eq!((fixture.spent().await, operator.keys().len()), (PRICE, 1));
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn without_a_schema_to_work_on_what_was_begun_is_settled_and_the_rest_left_to_others() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.worker(&config(), operator.operators()).await;
    let (begun, waiting) = (message("begun", &["+4915110"]), message("waiting", &["+4915111"]));
    fixture.accept(&[begun.clone(), waiting.clone()]).await;
    fixture.sql.take_for_another("waiting", 3_600_000).await;
    fixture.publish(&[begun, waiting]).await;
    operator.reaches(1).await;
    fixture.waits(0).await;

    fixture.sql.execute("INSERT INTO schema_compatibility VALUES ('m0099_of_a_newer_release', 99)").await;
    worker.look_at_schema(false).await;
    fixture.answered("requeued", 1).await;
    assert_eq!(fixture.waiting(), 1, "it waits for others, for nobody takes it here");
    operator.answer(1);
    fixture.sql.execute("DELETE FROM schema_compatibility WHERE oldest_binary = 99").await;
    worker.look_at_schema(true).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("begun").await, ["done held"]);
    fixture.waits(0).await;
    assert_eq!(operator.keys().len(), 1);
    worker.stop().await;
    fixture.remove().await;
}

/// Begun batches of writes.
const BATCHES: &str = r#"batch_size_count{lane="states"}"#;

/// Writes that were done with the first try of their batch, or by themselves at once: one that is tried again is counted again, and
/// so is its error.
fn written_at_once(fixture: &Fixture, query: &str) -> i64 {
    let jobs = fixture.metrics.value(r#"batch_size_sum{lane="states"}"#);
    jobs - fixture.metrics.value(&format!("db_queries_total{{query=\"{query}\",result=\"error\"}}"))
}

#[tokio::test]
async fn a_recipient_that_the_database_refuses_to_settle_holds_up_no_other() {
    let fixture = Fixture::new().await;
    fixture.sql.execute(&refuse("+4915112", "done")).await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.worker(&config(), operator.operators()).await;
    fixture.send(&[message("m0", &["+4915110"])]).await;
    operator.reaches(1).await;
    fixture.send(&[message("m1", &["+4915111"]), message("m2", &["+4915112"])]).await;
    operator.reaches(3).await;

    // One outcome is at the database, and the other two wait for it: they are one batch.
    let batches = fixture.metrics.value(BATCHES);
    fixture.sql.lock().await;
    worker.hold_connection();
    operator.answer(1);
    fixture.metrics.reaches(BATCHES, batches + 1).await;
    operator.answer(2);
    fixture.metrics.reaches(r#"operator_duration_seconds_count{operator="held"}"#, 3).await;
    fixture.sql.unlock().await;
    for id in ["m0", "m1"] {
        eventually(&format!("{id} is done"), async || fixture.sql.rows(id).await == ["done held"]).await;
    }
    fixture.metrics.reaches_queries("settle", "error", 2).await;
    assert!(fixture.sql.rows("m2").await[0].starts_with("sending under "), "it is held on to");
    fixture.sql.execute("DROP TRIGGER refuse").await;
    fixture.answered("ok", 3).await;
    assert_eq!(fixture.sql.rows("m2").await, ["done held"]);
    assert_eq!((operator.keys().len(), written_at_once(&fixture, "settle")), (3, 3 + 2));
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_recipient_that_the_database_refuses_to_begin_with_holds_up_no_other() {
    let fixture = Fixture::new().await;
    fixture.sql.execute(&refuse("+4915112", "sending")).await;
    let worker = fixture.worker(&config(), fixture.operators(&["a"])).await;
    let requests = ["m0", "m1", "m2"].map(|id| message(id, &[&id.replace('m', "+491511")]));
    fixture.accept(&requests).await;

    // One is at the database, and the other two wait for it: they are one batch.
    fixture.sql.lock().await;
    worker.hold_connection();
    fixture.publish(&requests[..1]).await;
    fixture.metrics.reaches(BATCHES, 1).await;
    fixture.publish(&requests[1..]).await;
    fixture.waits(0).await;
    fixture.sql.unlock().await;
    fixture.answered("ok", 2).await;
    assert_eq!(fixture.sql.rows("m1").await, ["done a"]);
    assert_eq!(fixture.sql.rows("m2").await, ["pending"]);
    fixture.sql.execute("DROP TRIGGER refuse").await;
    fixture.answered("ok", 3).await;
    assert_eq!(fixture.sql.rows("m2").await, ["done a"]);
    assert_eq!(written_at_once(&fixture, "begin_sending"), 2 + 3);
    worker.stop().await;
    fixture.remove().await;
}
