//! From the outbox to the queue: what goes out, in which order, and when it counts as published.

use std::time::Duration;

use broker::{Broker, Options};
use domain::{MessageBody, MessageType, Turn};
use outbox_relay::RelayConfig;

use crate::support::{Fixture, config, eventually, express, message, topology};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn an_accepted_message_goes_out_once_as_it_was_accepted() {
    let fixture = Fixture::new().await;
    let mut request = message("m1", &["+4915110", "+4915111"]);
    request.traceparent = Some(TRACE.to_owned());
    let body = request.payload.message.clone();
    fixture.accept(&[request, express("m2")]).await;
    let relay = fixture.relay(&config()).await;

    let (mut normal, mut fast) = (fixture.normal(), fixture.express());
    let delivery = normal.next().await;
    assert_eq!(MessageBody::from_json(&delivery.body), Ok(body));
    assert_eq!(delivery.message_id.as_deref(), Some("m1"));
    let trace = delivery.traceparent.clone().expect("the trace goes on");
    assert_eq!(trace.split('-').nth(1), TRACE.split('-').nth(1), "{trace}");
    delivery.ack().await;
    assert_eq!(fast.take().await, "m2");

    for id in ["m1", "m2"] {
        fixture.published(id).await;
        assert_eq!(fixture.sql.event(id).await.claimed_by, None);
    }
    relay.stop().await;
    assert_eq!((fixture.depth(MessageType::Normal), fixture.depth(MessageType::Express)), (0, 0));
    fixture.remove().await;
}

/// While an upgrade rolls, an older relay carries what a newer gateway wrote.
#[tokio::test]
async fn what_only_a_newer_release_knows_of_a_message_reaches_the_queue() {
    let fixture = Fixture::new().await;
    fixture.accept(&[message("m1", &["+4915110"])]).await;
    fixture.sql.execute("UPDATE outbox_events SET payload = json_set(payload, '$.message.sender', 'ACME')").await;
    let relay = fixture.relay(&config()).await;
    let delivery = fixture.normal().next().await;
    let body = String::from_utf8(delivery.body.to_vec()).expect("JSON is UTF-8");
    assert!(body.contains(r#""sender":"ACME""#), "{body}");
    delivery.ack().await;
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn events_go_out_in_the_order_of_their_turns() {
    let fixture = Fixture::new().await;
    let turns = [("m1", 30), ("m2", 10), ("m3", 20), ("m4", 10)];
    let requests = turns.map(|(id, turn)| {
        let mut request = message(id, &["+4915110"]);
        request.turn = Turn::from_stored(turn);
        request
    });
    fixture.accept(&requests).await;
    let relay = fixture.relay(&RelayConfig { batch: 1, ..config() }).await;

    let mut queue = fixture.normal();
    for expected in ["m2", "m4", "m3", "m1"] {
        assert_eq!(queue.take().await, expected);
    }
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_the_broker_does_not_take_is_given_back_without_a_try() {
    let full_at_one = Options { queue_capacity: 1, ..Options::default() };
    let fixture = Fixture::with_broker(Broker::in_process_with(topology(), &full_at_one)).await;
    fixture.accept(&[message("m1", &["+4915110"]), message("m2", &["+4915111"])]).await;
    let relay = fixture.relay(&config()).await;

    let mut queue = fixture.normal();
    let first = queue.next().await;
    assert_eq!(first.message_id.as_deref(), Some("m1"));
    fixture.published("m1").await;
    fixture.metrics.reaches_queries("outbox_release", "ok", 1).await;
    // Only now and then, for it is claimed again and again.
    eventually("m2 to be given back", async || fixture.sql.event("m2").await.is_untouched()).await;

    first.ack().await;
    assert_eq!(queue.take().await, "m2");
    fixture.published("m2").await;
    assert_eq!(fixture.sql.event("m2").await.attempts, 0);
    relay.stop().await;
    assert_eq!(fixture.depth(MessageType::Normal), 0, "each went out once");
    fixture.remove().await;
}

#[tokio::test]
async fn a_broker_that_does_not_take_messages_is_left_alone_for_a_while() {
    let full = Options { queue_capacity: 0, ..Options::default() };
    let fixture = Fixture::with_broker(Broker::in_process_with(topology(), &full)).await;
    fixture.accept(&[message("m1", &["+4915110"])]).await;
    let relay = fixture.relay(&config()).await;

    // The other lane, with nothing to do, looks again and again; this one does so now and then.
    fixture.metrics.reaches_queries("outbox_claim", "ok", 40).await;
    let given_back = fixture.metrics.queries("outbox_release", "ok");
    assert!((1..=10).contains(&given_back), "given back {given_back} times");
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_was_published_and_not_recorded_goes_out_again_when_the_lease_is_over() {
    let fixture = Fixture::new().await;
    fixture
        .sql
        .execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON outbox_events WHEN NEW.status = 'processed'
             BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        .await;
    fixture.accept(&[message("m1", &["+4915110"])]).await;
    let relay = fixture.relay(&RelayConfig { lease: Duration::from_millis(200), ..config() }).await;

    let mut queue = fixture.normal();
    assert_eq!(queue.take().await, "m1");
    fixture.metrics.reaches_queries("outbox_processed", "error", 1).await;
    assert_ne!(fixture.sql.event("m1").await.status, "processed");
    fixture.sql.execute("DROP TRIGGER refuse").await;
    assert_eq!(queue.take().await, "m1", "better twice than never");
    fixture.published("m1").await;
    assert_eq!(fixture.sql.event("m1").await.attempts, 0);
    relay.stop().await;
    fixture.remove().await;
}
