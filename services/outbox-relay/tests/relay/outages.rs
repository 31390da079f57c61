//! The broker, the database or its schema away, and back.

use std::time::Duration;

use outbox_relay::RelayConfig;

use crate::support::{ClosedPort, Fixture, config, message};

/// How long an operation may wait for a database that somebody else keeps: short, so that a test sees it fail.
const PATIENCE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn nothing_is_claimed_while_the_broker_is_away_and_no_try_is_lost() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("m1", &["+4915110"]), message("m2", &["+4915111"])]).await;
    let port = ClosedPort::new();
    let cut_off = fixture.idle_relay(Duration::from_secs(30)).await;
    cut_off.start(&config(), &port.broker(&cut_off.scope));

    // A sweeper's round later a claimer would have looked a hundred times.
    fixture.metrics.reaches(r#"outbox_pending_events{lane="normal"}"#, 2).await;
    for id in ["m1", "m2"] {
        assert!(fixture.sql.event(id).await.is_untouched());
    }
    assert_eq!(fixture.metrics.queries("outbox_claim", "ok"), 0);
    cut_off.stop().await;

    let relay = fixture.relay(&config()).await;
    let mut queue = fixture.normal();
    assert_eq!([queue.take().await, queue.take().await], ["m1", "m2"]);
    fixture.published("m2").await;
    assert_eq!(fixture.sql.event("m2").await.attempts, 0);
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn events_are_claimed_when_the_database_is_back() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("m1", &["+4915110"])]).await;
    fixture.sql.lock().await;
    let relay = fixture.idle_relay(PATIENCE).await;
    relay.start(&config(), &fixture.broker);
    fixture.metrics.reaches_queries("outbox_claim", "error", 2).await;

    fixture.sql.unlock().await;
    assert_eq!(fixture.normal().take().await, "m1");
    fixture.published("m1").await;
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_was_published_is_recorded_when_the_database_is_back() {
    let fixture = Fixture::new().await;
    let relay = fixture.idle_relay(PATIENCE).await;
    relay.start(&config(), &fixture.broker);
    let held = fixture.hold_before_recording().await;
    fixture.metrics.reaches_queries("outbox_processed", "error", 2).await;

    fixture.sql.unlock().await;
    fixture.published(&held).await;
    relay.stop().await;
    assert_eq!(fixture.depth(domain::MessageType::Normal), 0, "it went out once");
    fixture.remove().await;
}

#[tokio::test]
async fn a_relay_waits_for_a_schema_that_it_can_work_on() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("m1", &["+4915110"])]).await;
    fixture.sql.execute("INSERT INTO schema_compatibility VALUES ('m0099_of_a_newer_release', 99)").await;
    let relay = fixture.idle_relay(Duration::from_secs(30)).await;
    relay.look_at_schema(false).await;
    relay.start(&config(), &fixture.broker);

    // The relay runs, for it measures the queues.
    fixture.publish_by_hand("by hand").await;
    fixture.metrics.reaches(r#"queue_messages{queue="normal"}"#, 1).await;
    assert!(fixture.sql.event("m1").await.is_untouched());

    fixture.sql.execute("DELETE FROM schema_compatibility WHERE oldest_binary = 99").await;
    relay.look_at_schema(true).await;
    let mut queue = fixture.normal();
    assert_eq!([queue.take().await, queue.take().await], ["by hand", "m1"]);
    fixture.published("m1").await;
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_database_that_is_away() {
    let fixture = Fixture::new().await;
    let relay = fixture.idle_relay(PATIENCE).await;
    relay.start(&RelayConfig { lease: Duration::from_hours(1), ..config() }, &fixture.broker);
    let held = fixture.hold_before_recording().await;
    fixture.metrics.reaches_queries("outbox_processed", "error", 1).await;

    let database = relay.end().await;
    fixture.sql.unlock().await;
    database.close().await;
    assert_eq!(fixture.sql.event(&held).await.status, "processing", "its lease is left to the rescue");
    fixture.remove().await;
}
