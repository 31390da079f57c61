//! Events that cannot be published: their tries, the delays between them, and the refund at the end.

use crate::support::{CUSTOMER, Fixture, PRICE, config, eventually, message};

/// A message to a queue that does not exist.
fn unroutable(id: &str, recipients: &[&str]) -> persistence::AcceptRequest {
    let mut request = message(id, recipients);
    "nowhere".clone_into(&mut request.payload.routing_key);
    request
}

/// Refunds in the ledger.
async fn refunds(fixture: &Fixture) -> i64 {
    let refunds =
        format!("SELECT COUNT(*) FROM user_transactions WHERE user_id = {CUSTOMER} AND refund_of IS NOT NULL");
    fixture.sql.number(&refunds).await
}

/// Recipients of a message in a state.
async fn recipients(fixture: &Fixture, message: &str, status: &str) -> i64 {
    let rows = "SELECT COUNT(*) FROM message_status";
    fixture.sql.number(&format!("{rows} WHERE message_identifier = '{message}' AND status = '{status}'")).await
}

/// Waits until an event has had so many tries, and gives the seconds that it is put off by.
async fn delay_after(fixture: &Fixture, message: &str, tries: i64) -> Option<i64> {
    let what = format!("try {tries} of {message}");
    eventually(&what, async || fixture.sql.event(message).await.attempts == tries).await;
    let event = fixture.sql.event(message).await;
    assert_eq!(event.claimed_by, None, "its lease is over");
    event.delay_millis.map(|millis| millis / 1_000)
}

#[tokio::test]
async fn an_unroutable_event_is_tried_nine_times_again_after_longer_and_longer_delays() {
    let fixture = Fixture::new().await;
    let delays = [2, 4, 8, 16, 32, 64, 64, 64, 64];
    for tries in 0..delays.len() {
        let id = format!("m{tries}");
        fixture.accept(&[unroutable(&id, &["+4915110"])]).await;
        fixture.sql.execute(&format!("UPDATE outbox_events SET attempts = {tries} WHERE aggregate_id = '{id}'")).await;
    }
    let relay = fixture.relay(&config()).await;

    for (tries, delay) in (0..).zip(delays) {
        let id = format!("m{tries}");
        assert_eq!(delay_after(&fixture, &id, tries + 1).await, Some(delay), "after try {tries}");
        let event = fixture.sql.event(&id).await;
        assert_eq!((event.status.as_str(), event.last_error.as_deref()), ("pending", Some("312 NO_ROUTE")));
        assert_eq!(recipients(&fixture, &id, "pending").await, 1);
    }
    assert_eq!(refunds(&fixture).await, 0);
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn after_the_last_try_recipients_that_nobody_took_are_refunded_once() {
    let fixture = Fixture::new().await;
    fixture.accept(&[unroutable("m1", &["+4915110", "+4915111", "+4915112"])]).await;
    fixture.sql.execute("UPDATE outbox_events SET attempts = 9").await;
    fixture.sql.execute("UPDATE message_status SET status = 'sending' WHERE recipient = '+4915112'").await;
    let relay = fixture.relay(&config()).await;

    // It carries the time at which it was given up.
    assert_eq!(delay_after(&fixture, "m1", 10).await, Some(0));
    assert_eq!(fixture.sql.event("m1").await.status, "failed");
    assert_eq!((recipients(&fixture, "m1", "failed").await, recipients(&fixture, "m1", "sending").await), (2, 1));
    assert_eq!((fixture.spent().await, refunds(&fixture).await), (PRICE, 2));
    fixture.metrics.reaches(r#"recipients_settled_total{result="failed"}"#, 2).await;

    // By hand, or by a relay that had it in hand when this one gave it up.
    fixture.sql.execute("UPDATE outbox_events SET status = 'pending'").await;
    assert_eq!(delay_after(&fixture, "m1", 11).await, Some(0));
    assert_eq!(fixture.sql.event("m1").await.status, "failed");
    assert_eq!((fixture.spent().await, refunds(&fixture).await), (PRICE, 2), "nothing is given back twice");
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_tried_for_seconds_and_holds_up_no_other() {
    let fixture = Fixture::new().await;
    for tries in 0..4 {
        let id = format!("m{tries}");
        fixture.accept(&[message(&id, &["+4915110"])]).await;
        let change = format!("attempts = {tries}, payload = '{{}}'");
        fixture.sql.execute(&format!("UPDATE outbox_events SET {change} WHERE aggregate_id = '{id}'")).await;
    }
    fixture.accept(&[message("readable", &["+4915110"])]).await;
    let relay = fixture.relay(&config()).await;

    assert_eq!(fixture.normal().take().await, "readable");
    for (tries, delay) in [(1, Some(1)), (2, Some(2)), (3, Some(4)), (4, Some(0))] {
        let id = format!("m{}", tries - 1);
        assert_eq!(delay_after(&fixture, &id, tries).await, delay);
        let error = fixture.sql.event(&id).await.last_error.expect("a reason");
        assert!(error.starts_with("payload "), "{error}");
    }
    assert_eq!(fixture.sql.event("m3").await.status, "failed");
    assert_eq!(recipients(&fixture, "m3", "failed").await, 1);
    assert_eq!((fixture.spent().await, refunds(&fixture).await), (4 * PRICE, 1));
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn an_event_that_was_put_off_goes_out_when_its_time_has_come_and_not_before() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("due", &["+4915110"]), message("early", &["+4915111"])]).await;
    for (id, time) in [("due", "-1 second"), ("early", "+1 hour")] {
        let time = format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '{time}')");
        fixture
            .sql
            .execute(&format!(
                "UPDATE outbox_events SET attempts = 1, next_run_at = {time} WHERE aggregate_id = '{id}'"
            ))
            .await;
    }
    let relay = fixture.relay(&config()).await;

    assert_eq!(fixture.normal().take().await, "due");
    fixture.published("due").await;
    let early = fixture.sql.event("early").await;
    assert_eq!((early.status.as_str(), early.attempts, early.claimed_by), ("pending", 1, None));
    relay.stop().await;
    fixture.remove().await;
}
