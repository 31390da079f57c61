//! Several relays on one database: whose an event is, and for how long.

use std::{collections::BTreeSet, time::Duration};

use domain::{MessageType, PerLane};
use outbox_relay::RelayConfig;

use crate::support::{Fixture, config, message};

/// Claims an event by hand as a relay that ends, or ended, in so many seconds.
async fn claim_for_another(fixture: &Fixture, message: &str, seconds: i64) {
    let until = format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '{seconds:+} seconds')");
    let change = format!("status = 'processing', claimed_by = 'another', claimed_until = {until}");
    fixture.sql.execute(&format!("UPDATE outbox_events SET {change} WHERE aggregate_id = '{message}'")).await;
}

#[tokio::test]
async fn what_another_relay_claimed_is_rescued_when_its_lease_is_over_and_not_before() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("m1", &["+4915110"]), message("m2", &["+4915111"])]).await;
    claim_for_another(&fixture, "m1", -1).await;
    claim_for_another(&fixture, "m2", 3_600).await;
    let relay = fixture.relay(&config()).await;

    assert_eq!(fixture.normal().take().await, "m1");
    fixture.published("m1").await;
    assert_eq!(fixture.sql.event("m1").await.attempts, 0, "a crash costs no try");
    let other = fixture.sql.event("m2").await;
    assert_eq!((other.status.as_str(), other.claimed_by.as_deref()), ("processing", Some("another")));
    relay.stop().await;
    assert_eq!(fixture.depth(MessageType::Normal), 0);
    fixture.remove().await;
}

#[tokio::test]
async fn a_relay_whose_lease_was_taken_over_records_nothing() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&config()).await;
    let held = fixture.hold_before_recording().await;

    claim_for_another(&fixture, &held, 3_600).await;
    let before = fixture.metrics.queries("outbox_processed", "ok");
    fixture.sql.unlock().await;
    fixture.metrics.reaches_queries("outbox_processed", "ok", before + 1).await;
    let event = fixture.sql.event(&held).await;
    assert_eq!((event.status.as_str(), event.claimed_by.as_deref()), ("processing", Some("another")));
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn two_relays_on_one_database_publish_each_event_once() {
    const EVENTS: usize = 100;
    let fixture = Fixture::new().await;
    let requests: Vec<_> = (0..EVENTS).map(|number| message(&format!("m{number}"), &["+4915110"])).collect();
    fixture.accept(&requests).await;
    let config = RelayConfig {
        claimers: PerLane { express: 1, normal: 2 },
        batch: 7,
        poll: PerLane::from_fn(|_| Duration::from_millis(1)),
        ..config()
    };
    let relays = [fixture.relay(&config).await, fixture.relay(&config).await];

    let mut queue = fixture.normal();
    let mut seen = BTreeSet::new();
    for _ in 0..EVENTS {
        let id = queue.take().await;
        assert!(seen.insert(id.clone()), "{id} came twice");
    }
    for id in &seen {
        fixture.published(id).await;
    }
    for relay in relays {
        relay.stop().await;
    }
    assert_eq!(fixture.depth(MessageType::Normal), 0);
    fixture.remove().await;
}
