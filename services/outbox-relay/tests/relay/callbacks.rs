//! Callbacks: signed, sent until they are taken, and given up on no sooner than they should be.

use std::time::Duration;

use callbacks::{CallbackConfig, MasterKey, MasterKeys, SignatureHeaders};
use domain::{CallbackEventId, CallbackTypes, CustomerId, EndpointId};
use outbox_relay::{RelayConfig, health};
use persistence::{CallbackEndpoint, EndpointCreated, NewEndpoint};
use test_support::{Received, Receiver};
use uuid::Uuid;

use crate::support::{CUSTOMER, Fixture, Relay, config, eventually};

const PATIENCE: Duration = Duration::from_secs(30);

fn keys() -> MasterKeys {
    MasterKeys { current: MasterKey::parse(&"k".repeat(32)).expect("a key"), previous: None }
}

/// A relay that sends callbacks, to this machine too.
fn sending(keys: Option<MasterKeys>) -> RelayConfig {
    let allowed = "127.0.0.0/8".parse().expect("a network");
    RelayConfig { callbacks: Some(CallbackConfig { keys, allow_http: true, allowed }), ..config() }
}

fn customer() -> CustomerId {
    CustomerId::try_from(CUSTOMER).expect("a valid id")
}

impl Relay {
    async fn endpoint(&self, url: &str) -> CallbackEndpoint {
        let new = NewEndpoint {
            id: EndpointId::from_uuid(Uuid::now_v7()),
            customer: customer(),
            url: url.to_owned(),
            description: None,
            types: CallbackTypes::all(),
            per_second: None,
        };
        match self.database.create_endpoint(&new).await.expect("stores") {
            EndpointCreated::Created(endpoint) => endpoint,
            EndpointCreated::TooMany => panic!("there are too many"),
        }
    }

    async fn test(&self, endpoint: &CallbackEndpoint) -> CallbackEventId {
        let id = EndpointId::parse(&endpoint.id).expect("an id");
        self.database.test_endpoint(customer(), &id).await.expect("stores").expect("is there")
    }
}

/// Events in a state.
async fn count(fixture: &Fixture, status: &str) -> i64 {
    fixture.sql.number(&format!("SELECT COUNT(*) FROM callback_events WHERE status = '{status}'")).await
}

fn is_signed(received: &Received, version: u32, endpoint: &CallbackEndpoint) -> bool {
    let header = |name: &str| received.headers[name].as_str();
    let signature = SignatureHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature"),
    };
    let now = signature.timestamp.parse().expect("seconds");
    signature.verify(&keys().secret(&endpoint.id, version), now, received.body.as_bytes()).is_ok()
}

#[tokio::test]
async fn an_event_is_signed_and_sent_once() {
    let fixture = Fixture::new().await;
    let receiver = Receiver::answering(204).await;
    let relay = fixture.relay(&sending(Some(keys()))).await;
    let endpoint = relay.endpoint(&receiver.url).await;
    let event = relay.test(&endpoint).await;
    eventually("the event is taken", async || count(&fixture, "done").await == 1).await;
    let received = receiver.received();
    assert_eq!(received.len(), 1);
    assert!(is_signed(&received[0], 1, &endpoint) && !is_signed(&received[0], 2, &endpoint));
    assert_eq!(received[0].headers["webhook-id"], event.as_str());
    assert_eq!(received[0].headers["content-type"], "application/json");
    let stored = format!("SELECT COUNT(*) FROM callback_events WHERE payload = '{}'", received[0].body);
    assert_eq!(fixture.sql.number(&stored).await, 1, "what is stored is what is sent");
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_is_refused_is_sent_again_with_the_same_id() {
    let fixture = Fixture::new().await;
    let receiver = Receiver::answering(500).await;
    let relay = fixture.relay(&sending(Some(keys()))).await;
    let endpoint = relay.endpoint(&receiver.url).await;
    relay.test(&endpoint).await;
    let attempts = "SELECT COUNT(*) FROM callback_attempts";
    eventually("the first attempt is recorded", async || fixture.sql.number(attempts).await == 1).await;
    assert_eq!((count(&fixture, "pending").await, receiver.received().len()), (1, 1), "it waits for its time");
    receiver.answer(200);
    fixture.sql.execute("UPDATE callback_events SET next_run_at = '2020-01-01 00:00:00'").await;
    eventually("the event is taken", async || count(&fixture, "done").await == 1).await;
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].headers["webhook-id"], received[1].headers["webhook-id"]);
    assert_eq!(fixture.sql.number("SELECT failures FROM callback_endpoints").await, 0);
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn both_secrets_sign_while_one_replaces_the_other() {
    let fixture = Fixture::new().await;
    let receiver = Receiver::answering(200).await;
    let relay = fixture.relay(&sending(Some(keys()))).await;
    let endpoint = relay.endpoint(&receiver.url).await;
    let id = EndpointId::parse(&endpoint.id).expect("an id");
    let rotate = |overlap| relay.database.rotate_endpoint_secret(customer(), &id, overlap);
    rotate(Duration::from_hours(1)).await.expect("rotates");
    relay.test(&endpoint).await;
    eventually("the event is taken", async || receiver.received().len() == 1).await;
    let both = &receiver.received()[0];
    assert!(is_signed(both, 1, &endpoint) && is_signed(both, 2, &endpoint));
    rotate(Duration::ZERO).await.expect("rotates");
    relay.test(&endpoint).await;
    eventually("the second is taken", async || receiver.received().len() == 2).await;
    let one = &receiver.received()[1];
    assert!(!is_signed(one, 2, &endpoint) && is_signed(one, 3, &endpoint));
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_dead_endpoint_is_let_alone_and_holds_up_no_other() {
    let fixture = Fixture::new().await;
    let (dead, alive) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let relay = fixture.idle_relay(PATIENCE).await;
    let (dead_one, live_one) = (relay.endpoint(&dead.url).await, relay.endpoint(&alive.url).await);
    for _ in 0..40 {
        relay.test(&dead_one).await;
    }
    relay.test(&live_one).await;
    relay.start(&sending(Some(keys())), &fixture.broker);
    let paused = "SELECT COUNT(*) FROM callback_endpoints WHERE paused_until IS NOT NULL";
    eventually("it is let alone", async || fixture.sql.number(paused).await == 1).await;
    eventually("the other has its event", async || alive.received().len() == 1).await;
    relay.quiet().await;
    let sent = dead.received().len();
    assert!(sent <= 16, "{sent} were sent before its first failures were recorded");
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_told_nothing_more() {
    let fixture = Fixture::new().await;
    let (gone, other) = (Receiver::answering(410).await, Receiver::answering(200).await);
    let relay = fixture.relay(&sending(Some(keys()))).await;
    let endpoint = relay.endpoint(&gone.url).await;
    relay.endpoint(&other.url).await;
    relay.test(&endpoint).await;
    eventually("the other is told", async || other.received().len() == 1).await;
    assert!(other.received()[0].body.contains(&endpoint.id));
    let enabled = "SELECT COUNT(*) FROM callback_endpoints WHERE enabled";
    assert_eq!(fixture.sql.number(enabled).await, 1);
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_a_killed_relay_sent_is_sent_again() {
    let fixture = Fixture::new().await;
    let receiver = Receiver::answering(200).await;
    let relay = fixture.idle_relay(PATIENCE).await;
    let endpoint = relay.endpoint(&receiver.url).await;
    let event = relay.test(&endpoint).await;
    let due = relay.database.due_endpoints(0, 1).await.expect("reads");
    // Claimed by one that ends without a word.
    relay.database.claim_callbacks(&[(due[0].row, 1)], Duration::from_millis(1)).await.expect("claims");
    relay.start(&sending(Some(keys())), &fixture.broker);
    eventually("the event is taken", async || count(&fixture, "done").await == 1).await;
    assert_eq!(receiver.received()[0].headers["webhook-id"], event.as_str());
    assert_eq!(fixture.sql.number("SELECT attempts FROM callback_events").await, 2);
    relay.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn without_a_master_key_nothing_is_sent_and_a_relay_with_endpoints_is_not_ready() {
    let fixture = Fixture::new().await;
    let receiver = Receiver::answering(200).await;
    let without = sending(None);
    let relay = fixture.relay(&without).await;
    let report = health(&without, &relay.database, Some(&fixture.broker)).report().await;
    assert_eq!((report.ready, report.dependencies["callbacks"]), (true, "ok"), "nobody waits for any");
    let endpoint = relay.endpoint(&receiver.url).await;
    relay.test(&endpoint).await;
    let report = health(&without, &relay.database, Some(&fixture.broker)).report().await;
    assert_eq!((report.ready, report.dependencies["callbacks"]), (false, "no_master_key"));
    assert_eq!((receiver.received().len(), count(&fixture, "pending").await), (0, 1));
    relay.stop().await;
    fixture.remove().await;
}
