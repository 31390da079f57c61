//! What the sweeper and the ledger audit do every second, every minute and every few minutes.

use std::time::Duration;

use domain::MessageType;
use outbox_relay::RelayConfig;

use crate::support::{CUSTOMER, ClosedPort, Fixture, config, eventually, express, message, pass};

/// After this the sweeper looks for stuck messages and old rows.
const A_MINUTE: Duration = Duration::from_secs(61);

/// Makes a time of a message's rows so old.
async fn age(fixture: &Fixture, message: &str, hours: u32) {
    let time = format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '-{hours} hours')");
    let change = format!("SET created_at = {time}, updated_at = {time}");
    let ended = format!("next_run_at = CASE WHEN status = 'processed' THEN {time} ELSE next_run_at END");
    fixture.sql.execute(&format!("UPDATE outbox_events {change}, {ended} WHERE aggregate_id = '{message}'")).await;
    fixture.sql.execute(&format!("UPDATE message_status {change} WHERE message_identifier = '{message}'")).await;
}

/// Waits until the relay's tasks have begun, and with them the minute.
async fn begun(fixture: &Fixture) {
    fixture.metrics.reaches_queries("outbox_claim", "ok", 1).await;
}

#[tokio::test]
async fn the_backlog_of_each_lane_is_measured() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("m1", &["+4915110"]), message("m2", &["+4915111"]), express("m3")]).await;
    age(&fixture, "m1", 2).await;
    let port = ClosedPort::new();
    let relay = fixture.idle_relay(Duration::from_secs(30)).await;
    relay.start(&config(), &port.broker(&relay.scope));

    fixture.metrics.reaches("current_outbox_pending_events", 3).await;
    let value = |series: &str| fixture.metrics.value(series);
    assert_eq!(
        [
            value(r#"outbox_pending_events{lane="normal"}"#),
            value(r#"outbox_pending_events{lane="express"}"#),
            value(r#"outbox_oldest_age_seconds{lane="normal"}"#) / 3_600,
        ],
        [2, 1, 2]
    );
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_message_that_stays_unfinished_goes_out_again() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("lost", &["+4915110"]), message("young", &["+4915111"])]).await;
    fixture.accept(&[message("finished", &["+4915112"])]).await;
    fixture.sql.execute("UPDATE outbox_events SET status = 'processed'").await;
    fixture.sql.execute("UPDATE message_status SET status = 'done' WHERE message_identifier = 'finished'").await;
    age(&fixture, "lost", 1).await;
    age(&fixture, "finished", 1).await;
    let relay = fixture.relay(&config()).await;

    begun(&fixture).await;
    pass(A_MINUTE).await;
    assert_eq!(fixture.normal().take().await, "lost");
    fixture.published("lost").await;
    relay.stop().await;
    assert_eq!(fixture.depth(MessageType::Normal), 0, "no other went out");
    assert_eq!(fixture.sql.events("processed").await, 3);
    fixture.remove().await;
}

#[tokio::test]
async fn old_rows_are_deleted_but_for_events_of_unfinished_messages() {
    let fixture = Fixture::new().await;
    for id in ["old", "young", "unfinished"] {
        fixture.accept(&[message(id, &["+4915110"])]).await;
    }
    fixture.sql.execute("UPDATE outbox_events SET status = 'processed'").await;
    fixture.sql.execute("UPDATE message_status SET status = 'done' WHERE message_identifier <> 'unfinished'").await;
    age(&fixture, "old", 73).await;
    age(&fixture, "young", 71).await;
    age(&fixture, "unfinished", 73).await;
    for (key, hours) in [("old", 25), ("young", 23)] {
        let time = format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '-{hours} hours')");
        fixture
            .sql
            .execute(&format!(
                "INSERT INTO idempotency_keys (customer_id, route, idempotency_key, fingerprint, response, created_at)
                 VALUES ({CUSTOMER}, 'send', '{key}', '', '', {time})"
            ))
            .await;
    }
    // Stuck messages are another test's.
    let relay = fixture.relay(&RelayConfig { republish_after: Duration::from_hours(1_000), ..config() }).await;

    begun(&fixture).await;
    pass(A_MINUTE).await;
    let kept = async || fixture.sql.number("SELECT COUNT(*) FROM idempotency_keys").await;
    eventually("the old key to be deleted", async || kept().await == 1).await;
    let events = "SELECT COUNT(*) FROM outbox_events";
    assert_eq!(fixture.sql.number(events).await, 2);
    assert_eq!(fixture.sql.number(&format!("{events} WHERE aggregate_id = 'old'")).await, 0);
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn the_audit_finds_a_balance_that_is_not_the_sum_of_its_ledger() {
    let every = Duration::from_hours(1);
    let fixture = Fixture::new().await;
    fixture.sql.execute("UPDATE user_balances SET balance = balance + 1").await;
    let relay = fixture.relay(&RelayConfig { ledger_audit: Some(every), ..config() }).await;
    fixture.metrics.reaches("ledger_audits_total", 1).await;
    assert_eq!(fixture.metrics.value("ledger_mismatches"), 1);

    fixture.sql.execute("UPDATE user_balances SET balance = balance - 1").await;
    pass(every).await;
    fixture.metrics.reaches("ledger_audits_total", 2).await;
    assert_eq!(fixture.metrics.value("ledger_mismatches"), 0);
    relay.stop().await;
    fixture.remove().await;
}
