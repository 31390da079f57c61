//! Events of a kind that only a newer release knows: put off by a minute, never given up, and in nobody's way.

use outbox_relay::RelayConfig;

use crate::support::{Fixture, PRICE, config, eventually, message};

/// As many as a newer gateway may have written before this relay is gone.
const EVENTS: i64 = 1_000;

/// Stores messages with two recipients whose events this relay does not know; their turns are before those of others.
async fn accept_unknown(fixture: &Fixture) {
    let requests: Vec<_> =
        (0..EVENTS).map(|number| message(&format!("u{number}"), &["+4915110", "+4915111"])).collect();
    fixture.accept(&requests).await;
    fixture.sql.execute("UPDATE outbox_events SET event_type = 'message.cancel'").await;
}

/// Waits until all of them wait for the next minute.
async fn are_put_off(fixture: &Fixture) {
    let put_off = "SELECT COUNT(*) FROM outbox_events WHERE event_type = 'message.cancel' AND status = 'pending'
        AND attempts = 0 AND last_error IS NULL AND claimed_by IS NULL
        AND round((julianday(next_run_at) - julianday(updated_at)) * 86400.0) = 60";
    eventually("all unknown events to be put off", async || fixture.sql.number(put_off).await == EVENTS).await;
}

#[tokio::test]
async fn a_thousand_of_them_are_put_off_without_a_try_and_delay_no_message_of_their_lane() {
    let fixture = Fixture::new().await;
    accept_unknown(&fixture).await;
    let spent = fixture.spent().await;
    let relay = fixture.relay(&RelayConfig { batch: 100, ..config() }).await;
    fixture.accept(&[message("first", &["+4915112"])]).await;
    fixture.published("first").await;
    are_put_off(&fixture).await;
    let batches = EVENTS / 100;
    let claimed_once = fixture.metrics.queries("outbox_put_off", "ok");
    assert!((batches..=batches + 1).contains(&claimed_once), "{claimed_once} batches");

    // A minute later the sweeper puts them off again: they come between no claims.
    fixture.sql.execute("UPDATE outbox_events SET next_run_at = '2020-01-01' WHERE next_run_at IS NOT NULL").await;
    fixture.accept(&[message("second", &["+4915112"])]).await;
    fixture.published("second").await;
    are_put_off(&fixture).await;
    assert_eq!(fixture.metrics.queries("outbox_put_off", "ok"), claimed_once, "they were not claimed again");

    let failed = "SELECT COUNT(*) FROM message_status WHERE status = 'failed'";
    assert_eq!(fixture.sql.number(failed).await, 0);
    assert_eq!(fixture.spent().await, spent + 2 * PRICE, "nothing was refunded");
    fixture.metrics.reaches(r#"outbox_pending_events{lane="normal"}"#, 0).await;
    relay.stop().await;
    fixture.remove().await;
}
