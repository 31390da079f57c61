//! How much is in hand at once, and what holds up what.

use delivery_worker::WorkerConfig;
use domain::PerLane;

use crate::support::{Fixture, Held, Reply, config, eventually, express, message};

/// Messages to different numbers, of which none ends with 9.
fn messages(count: usize) -> Vec<persistence::AcceptRequest> {
    (0..count).map(|number| message(&format!("m{number}"), &[&format!("+49{number}0")])).collect()
}

/// Recipients in a state.
async fn recipients(fixture: &Fixture, status: &str) -> i64 {
    fixture.sql.number(&format!("SELECT COUNT(*) FROM message_status WHERE status = '{status}'")).await
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_are_allowed() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.worker(&WorkerConfig { max_calls: 3, ..config() }, operator.operators()).await;
    fixture.send(&messages(10)).await;
    fixture.waits(0).await;
    operator.reaches(3).await;
    assert_eq!(recipients(&fixture, "pending").await, 7, "no lease begins before there is a call for it");

    for answered in 1..=10 {
        operator.answer(1);
        operator.reaches((3 + answered).min(10)).await;
    }
    fixture.answered("ok", 10).await;
    assert_eq!(operator.most_at_once(), 3);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn many_recipients_are_sent_to_in_chunks() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture.worker(&config(), operator.operators()).await;
    let numbers: Vec<String> = (0..100).map(|number| format!("+49{}", 1_000 + number)).collect();
    fixture.send(&[message("m1", &numbers.iter().map(String::as_str).collect::<Vec<_>>())]).await;
    operator.reaches(64).await;
    assert_eq!((recipients(&fixture, "sending").await, recipients(&fixture, "pending").await), (64, 36));

    operator.answer(100);
    fixture.answered("ok", 1).await;
    assert_eq!((recipients(&fixture, "done").await, operator.most_at_once()), (100, 64));
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn no_more_deliveries_are_in_hand_than_the_prefetch_says() {
    let fixture = Fixture::new().await;
    let operator = Held::start(Reply::Status(200)).await;
    let worker = fixture
        .worker(
            &WorkerConfig { prefetch: PerLane { normal: 2, ..config().prefetch }, ..config() },
            operator.operators(),
        )
        .await;
    fixture.send(&messages(5)).await;
    operator.reaches(2).await;
    assert_eq!(fixture.waiting(), 3, "the others are left to other workers");

    operator.answer(1);
    operator.reaches(3).await;
    assert_eq!(fixture.waiting(), 2);
    operator.answer(4);
    fixture.answered("ok", 5).await;
    assert_eq!(operator.most_at_once(), 2);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_an_older_consumer_has_in_hand_counts_for_the_next_one_too() {
    let fixture = Fixture::new().await;
    let operator = Held::start_for("0", Reply::Status(200)).await;
    let bounds = WorkerConfig { prefetch: PerLane { normal: 1, ..config().prefetch }, ..config() };
    let worker = fixture.worker(&bounds, operator.operators()).await;
    fixture.send(&messages(2)).await;
    operator.reaches(1).await;

    // Consumers end and begin again with the schema.
    fixture.sql.execute("INSERT INTO schema_compatibility VALUES ('m0099_of_a_newer_release', 99)").await;
    worker.look_at_schema(false).await;
    fixture.sql.execute("DELETE FROM schema_compatibility WHERE oldest_binary = 99").await;
    worker.look_at_schema(true).await;
    // Once the express queue is served again, the normal one is as well.
    for number in 0..10 {
        let id = format!("fast{number}");
        fixture.send(&[express(&id, "+4915119")]).await;
        eventually(&format!("{id} is done"), async || fixture.sql.rows(&id).await == ["done held"]).await;
    }
    assert_eq!(fixture.waiting(), 1, "one in hand is all there may be");

    operator.answer(2);
    fixture.answered("ok", 2).await;
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_slow_operator_of_normal_messages_does_not_hold_up_express_ones() {
    let fixture = Fixture::new().await;
    let operator = Held::start_for("9", Reply::Status(200)).await;
    let narrow = WorkerConfig { prefetch: PerLane { express: 1, normal: 1 }, max_calls: 1, ..config() };
    let worker = fixture.worker(&narrow, operator.operators()).await;
    fixture.send(&[message("slow", &["+4915119"])]).await;
    operator.reaches(1).await;

    for id in ["fast1", "fast2"] {
        fixture.send(&[express(id, "+4915110")]).await;
        eventually(&format!("{id} is done"), async || fixture.sql.rows(id).await == ["done held"]).await;
    }
    assert_eq!(recipients(&fixture, "sending").await, 1);
    operator.answer(1);
    fixture.answered("ok", 1).await;
    worker.stop().await;
    fixture.remove().await;
}
