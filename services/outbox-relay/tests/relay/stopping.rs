//! The end of a relay: what is in hand is finished, and nothing keeps it from ending.

use std::time::Duration;

use domain::{MessageType, PerLane};
use outbox_relay::RelayConfig;
use persistence::{ClaimToken, OutboxEventId};

use crate::support::{ClosedPort, Fixture, config, message};

#[tokio::test]
async fn a_claim_under_way_is_published_and_recorded() {
    let fixture = Fixture::new().await;
    let requests: Vec<_> = (0..5).map(|number| message(&format!("m{number}"), &["+4915110"])).collect();
    fixture.accept(&requests).await;
    fixture.publish_by_hand("by hand").await;
    let relay = fixture.idle_relay(Duration::from_secs(30)).await;
    // An operation that waits for the lock has the relay's only connection, so that the claim waits for that.
    fixture.sql.lock().await;
    let database = relay.database.clone();
    relay.scope.spawn("hold the connection", async move {
        let changed = database.mark_processed(&[OutboxEventId::from_stored(0)], &ClaimToken::unique()).await;
        assert_eq!(changed.ok(), Some(0));
    });
    relay.start(&RelayConfig { claimers: PerLane { express: 0, normal: 1 }, batch: 2, ..config() }, &fixture.broker);
    // The queues have been measured, and so all tasks have run as far as they can.
    fixture.metrics.reaches(r#"queue_messages{queue="normal"}"#, 1).await;

    relay.lifecycle.stop.cancel();
    fixture.sql.unlock().await;
    relay.stop().await;
    let states = [fixture.sql.events("processed").await, fixture.sql.events("pending").await];
    assert_eq!(states, [2, 3], "published and waiting");
    assert_eq!(fixture.depth(MessageType::Normal), 1 + 2);
    fixture.remove().await;
}

#[tokio::test]
async fn what_was_published_before_the_stop_is_recorded_and_nothing_more_is_claimed() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&config()).await;
    let held = fixture.hold_before_recording().await;
    let columns = "event_type, aggregate_type, payload, priority";
    let late = format!("SELECT 'late', {columns} FROM outbox_events WHERE aggregate_id = '{held}'");
    fixture.sql.execute(&format!("INSERT INTO outbox_events (aggregate_id, {columns}) {late}")).await;

    relay.lifecycle.stop.cancel();
    fixture.sql.unlock().await;
    relay.stop().await;
    assert_eq!(fixture.sql.event(&held).await.status, "processed");
    assert!(fixture.sql.event("late").await.is_untouched());
    fixture.remove().await;
}

#[tokio::test]
async fn a_relay_ends_wherever_it_waits() {
    let fixture = Fixture::new().await;
    let never = RelayConfig {
        poll: PerLane::from_fn(|_| Duration::from_hours(1)),
        ledger_audit: Some(Duration::from_hours(1)),
        ..config()
    };

    let idle = fixture.relay(&never).await;
    fixture.metrics.reaches_queries("outbox_claim", "ok", 2).await;
    fixture.metrics.reaches("ledger_audits_total", 1).await;
    idle.stop().await;

    let port = ClosedPort::new();
    let cut_off = fixture.idle_relay(Duration::from_secs(30)).await;
    cut_off.start(&never, &port.broker(&cut_off.scope));
    fixture.metrics.reaches("ledger_audits_total", 2).await;
    cut_off.stop().await;

    fixture.accept(&[message("m1", &["+4915110"])]).await;
    let paused = fixture.relay(&RelayConfig { max_queued: Some(1), ..config() }).await;
    fixture.metrics.reaches(r#"relay_paused{lane="normal"}"#, 1).await;
    paused.quiet().await;
    fixture.accept(&[message("m2", &["+4915110"])]).await;
    paused.stop().await;
    assert!(fixture.sql.event("m2").await.is_untouched(), "nothing slips through at the end");
    fixture.remove().await;
}
