//! The end of a worker: what an operator was asked is settled, the rest goes back to the queue as it came.

use std::time::Duration;

use delivery_worker::WorkerConfig;

use crate::support::{Fixture, Held, Reply, config, message};

/// How long an operation may wait for a database that somebody else keeps: short, so that a test sees it fail.
const PATIENCE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn what_was_begun_is_settled_and_what_was_not_goes_back() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.worker(&WorkerConfig { max_calls: 1, ..config() }, operator.operators()).await;
    fixture.send(&[message("begun", &["+4915110"]), message("waiting", &["+4915111"])]).await;
    operator.reaches(1).await;
    fixture.waits(0).await;

    worker.begin_to_stop();
    fixture.answered("requeued", 1).await;
    assert_eq!(fixture.waiting(), 1);
    assert_eq!(fixture.sql.rows("waiting").await, ["pending"]);
    operator.answer(1);
    worker.stop().await;
    assert_eq!(fixture.sql.rows("begun").await, ["done held"]);
    assert_eq!((fixture.waiting(), operator.keys().len()), (1, 1), "one goes back, one was sent");
    fixture.remove().await;
}

#[tokio::test]
async fn a_worker_does_not_end_before_an_operators_answer_is_stored() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.hasty_worker(&config(), operator.operators(), PATIENCE).await;
    fixture.send(&[message("m1", &["+4915110"])]).await;
    operator.reaches(1).await;

    worker.begin_to_stop();
    fixture.sql.lock().await;
    operator.answer(1);
    fixture.metrics.reaches_queries("settle", "error", 2).await;
    fixture.sql.unlock().await;
    worker.stop().await;
    assert_eq!(fixture.sql.rows("m1").await, ["done held"]);
    assert_eq!(fixture.waiting(), 0);
    fixture.remove().await;
}

#[tokio::test]
async fn what_could_not_be_begun_goes_back_though_the_database_is_away() {
    let fixture = Fixture::new().await;
    let worker = fixture.hasty_worker(&config(), fixture.operators(&["a"]), PATIENCE).await;
    let request = message("m1", &["+4915110"]);
    fixture.accept(std::slice::from_ref(&request)).await;
    fixture.sql.lock().await;
    fixture.publish(&[request]).await;
    fixture.metrics.reaches_queries("begin_sending", "error", 1).await;

    let database = worker.end().await;
    assert_eq!((fixture.waiting(), fixture.calls().len()), (1, 0));
    fixture.sql.unlock().await;
    database.close().await;
    assert_eq!(fixture.sql.rows("m1").await, ["pending"]);
    fixture.remove().await;
}

#[tokio::test]
async fn what_waits_for_another_worker_or_for_the_relay_goes_back() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Close).await;
    operator.answer(100);
    let worker = fixture.worker(&config(), operator.operators()).await;
    let requests = ["held", "unknown"].map(|id| message(id, &["+4915110"]));
    fixture.accept(&requests).await;
    fixture.sql.take_for_another("held", 3_600_000).await;
    fixture.sql.execute("UPDATE outbox_events SET status = 'processing'").await;
    fixture.publish(&requests).await;
    fixture.metrics.reaches_queries("defer", "ok", 1).await;
    fixture.waits(0).await;

    worker.stop().await;
    assert_eq!(fixture.waiting(), 2);
    assert_eq!(fixture.sql.rows("held").await, ["sending under another"]);
    assert_eq!(fixture.sql.rows("unknown").await, ["sending"]);
    fixture.remove().await;
}
