//! How much is claimed, from which lane, and when.

use std::time::Duration;

use domain::{Lane, MessageType, PerLane};
use outbox_relay::RelayConfig;

use crate::support::{Fixture, config, express, message};

/// So long that a test never sees it pass.
const NEVER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_claim_takes_a_batch_at_most_and_a_full_one_is_followed_by_the_next_at_once() {
    let fixture = Fixture::new().await;
    fixture.sql.execute("CREATE TABLE claims (claimed_by TEXT)").await;
    fixture
        .sql
        .execute(
            "CREATE TRIGGER note AFTER UPDATE ON outbox_events WHEN NEW.status = 'processing'
             BEGIN INSERT INTO claims VALUES (NEW.claimed_by); END",
        )
        .await;
    let requests: Vec<_> = (0..10).map(|number| message(&format!("m{number}"), &["+4915110"])).collect();
    fixture.accept(&requests).await;
    let relay = fixture.relay(&RelayConfig { batch: 3, poll: PerLane::from_fn(|_| NEVER), ..config() }).await;

    for number in 0..10 {
        fixture.published(&format!("m{number}")).await;
    }
    let sizes = "(SELECT COUNT(*) AS events FROM claims GROUP BY claimed_by)";
    let largest = fixture.sql.number(&format!("SELECT MAX(events) FROM {sizes}")).await;
    let claims = fixture.sql.number(&format!("SELECT COUNT(*) FROM {sizes}")).await;
    assert_eq!((largest, claims), (3, 4));
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_lane_with_a_full_queue_is_not_claimed_from_while_the_other_goes_on() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("m1", &["+4915110"]), message("m2", &["+4915111"])]).await;
    let relay = fixture.relay(&RelayConfig { max_queued: Some(2), ..config() }).await;
    fixture.metrics.reaches(r#"relay_paused{lane="normal"}"#, 1).await;
    relay.quiet().await;

    fixture.accept(&[message("m3", &["+4915112"])]).await;
    let mut fast = fixture.express();
    // Time enough for a claimer that looks every few milliseconds.
    for number in 0..10 {
        let id = format!("fast{number}");
        fixture.accept(&[express(&id)]).await;
        assert_eq!(fast.take().await, id);
        fixture.published(&id).await;
    }
    assert!(fixture.sql.event("m3").await.is_untouched());
    assert_eq!(fixture.depth(MessageType::Normal), 2);

    let mut normal = fixture.normal();
    for expected in ["m1", "m2", "m3"] {
        assert_eq!(normal.take().await, expected);
    }
    fixture.published("m3").await;
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_signal_wakes_the_idle_claimer_of_its_lane() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&RelayConfig { poll: PerLane::from_fn(|_| NEVER), ..config() }).await;
    // Both lanes have been looked at and found empty.
    fixture.metrics.reaches_queries("outbox_claim", "ok", 2).await;

    fixture.accept(&[message("m1", &["+4915110"]), express("m2")]).await;
    relay.wake.signal(Lane::Express);
    assert_eq!(fixture.express().take().await, "m2");
    fixture.published("m2").await;
    assert!(fixture.sql.event("m1").await.is_untouched(), "the other lane sleeps on");
    relay.wake.signal(Lane::Normal);
    assert_eq!(fixture.normal().take().await, "m1");
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn while_little_waits_one_claimer_of_a_lane_looks() {
    let fixture = Fixture::new().await;
    let four = PerLane { express: 0, normal: 4 };
    let relay = fixture.relay(&RelayConfig { claimers: four, poll: PerLane::from_fn(|_| NEVER), ..config() }).await;
    fixture.metrics.reaches_queries("outbox_claim", "ok", 1).await;
    for number in 0..3 {
        let id = format!("m{number}");
        fixture.accept(&[message(&id, &["+4915110"])]).await;
        relay.wake.signal(Lane::Normal);
        fixture.published(&id).await;
    }
    relay.quiet().await;
    assert_eq!(fixture.metrics.queries("outbox_claim", "ok"), 1 + 3);
    relay.stop().await;
    fixture.remove().await;
}
