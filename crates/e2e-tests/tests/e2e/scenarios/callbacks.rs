//! What customers are told of their messages, whatever is killed meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use callbacks::{Secret, SignatureHeaders};
use operator_simulator::{Behaviour, Mode, Receipt, Receipts};
use serde_json::{Value, json};
use test_support::{Received, Receiver, wait_until};

use super::{receipts::SIGNED, tenants::ADMIN_KEY};
use crate::{
    client::{Client, Kind},
    platform::{Platform, SETTLED, Setup},
};

const MASTER_KEY: &str = "made-up-for-tests-and-nothing-else";

/// Keys for the API, callbacks to this machine, and a relay that sends nothing else and has no way to RabbitMQ.
fn setup() -> Setup {
    Setup::new()
        .operators(&["operatorA"])
        .set("CALLBACK_MASTER_KEY", MASTER_KEY)
        .set("CALLBACK_ALLOW_HTTP", "true")
        .set("CALLBACK_ALLOW_NETS", "127.0.0.0/8")
        .set("CALLBACKS_ENABLED", "false")
        .set_for("api-gateway", "ADMIN_API_KEY", ADMIN_KEY)
        .with_callback_relay()
}

/// A customer's side: a key, a server, and what it was told.
struct Customer {
    client: Client,
    receiver: Receiver,
    secret: Secret,
    endpoint: String,
}

impl Customer {
    async fn of(platform: &Platform, id: i64) -> Self {
        let admin = platform.client.with_key(ADMIN_KEY);
        let (_, key) = super::tenants::make_key(&admin, Some(id), &["send", "read", "callbacks"]).await;
        let client = platform.client.with_key(&key);
        let receiver = Receiver::answering(204).await;
        let (status, made) = client.ask("POST", "/callbacks/endpoints", Some(&json!({ "url": receiver.url }))).await;
        assert_eq!(status, 201, "{made}");
        let text = |member: &str| made[member].as_str().expect("a text").to_owned();
        let secret = Secret::parse(&text("secret")).expect("a secret");
        Self { client, receiver, secret, endpoint: text("id") }
    }

    /// Sends until something is told: each process sees the first endpoint of a customer within seconds.
    async fn wait_seen(&self, platform: &Platform) {
        let is_told = async || {
            let body = json!({ "text": "hi", "recipients": ["+4915190"] });
            let (status, sent) = self.client.ask("POST", "/messages/send", Some(&body)).await;
            assert_eq!(status, 200, "{sent}");
            platform.wait_all_terminal().await;
            let types: BTreeSet<_> = self.told().into_values().map(|event| event["type"].to_string()).collect();
            // From the worker, and from the gateway.
            (types.len() == 2).then_some(())
        };
        wait_until(SETTLED, "an end and a receipt are told", is_told).await;
    }

    /// Each event once, by its id. All of them are signed.
    fn told(&self) -> BTreeMap<String, Value> {
        let mut told = BTreeMap::new();
        for Received { headers, body, .. } in self.receiver.received() {
            let header = |name: &str| headers[name].as_str();
            let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
            let signature = SignatureHeaders { id, timestamp, signatures: header("webhook-signature") };
            let now = timestamp.parse().expect("seconds");
            signature.verify(&self.secret, now, body.as_bytes()).expect("it is signed");
            let event: Value = serde_json::from_str(&body).expect("JSON");
            let before = told.insert(id.to_owned(), event.clone());
            assert!(before.is_none_or(|before| before == event), "{id} was two things");
        }
        told
    }

    /// Types and sequences of what was told of each recipient of these messages.
    fn told_of(&self, messages: &[String]) -> BTreeMap<String, BTreeSet<(i64, String)>> {
        let mut told: BTreeMap<String, BTreeSet<(i64, String)>> = BTreeMap::new();
        for event in self.told().into_values() {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let data = &event["data"];
            if messages.contains(&text(&data["message_identifier"])) {
                let entry = (data["sequence"].as_i64().expect("a number"), text(&event["type"]));
                let is_new = told.entry(text(&data["recipient"])).or_default().insert(entry.clone());
                assert!(is_new, "{entry:?} has two ids");
            }
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_told_at_least_once_whatever_is_killed() {
    const MESSAGES: usize = 30;
    let mut platform = setup().start().await;
    let receipts = Receipts::to(format!("{}/operators/operatorA/receipts", platform.gateway.base_url()), SIGNED)
        .with_default(vec![Receipt::of("DELIVRD").after(Duration::from_millis(200))]);
    let behaviour = Behaviour::default().with_receipts(receipts).with_suffix("3", Mode::Reject { code: 422 });
    platform.simulator.set_behaviour("operatorA", behaviour).expect("valid");
    platform.top_up(1, 10_000).await;
    platform.top_up(2, 10_000).await;
    let customer = Customer::of(&platform, 1).await;
    customer.wait_seen(&platform).await;

    let mut messages = Vec::new();
    for number in 0..MESSAGES {
        let recipients = [format!("+49151{number:02}1"), format!("+49151{number:02}2"), format!("+49151{number:02}3")];
        let body = json!({ "text": "hi", "recipients": recipients, "type": if number % 2 == 0 { "normal" } else { "express" } });
        let (status, sent) = customer.client.ask("POST", "/messages/send", Some(&body)).await;
        assert_eq!(status, 200, "{sent}");
        messages.push(sent["message_identifier"].as_str().expect("an id").to_owned());
        match number {
            5 | 15 => restart(&mut platform.callback_relay),
            10 => restart(&mut platform.workers[..1]),
            20 => restart(&mut platform.relays[..1]),
            _ => {}
        }
    }
    // One without endpoints, beside it.
    let silent = platform.send(2, Kind::Normal, &["+49152"]).await;
    platform.wait_all_terminal().await;
    let taken = ["message.done", "message.delivered"].map(str::to_owned);
    let expected = |recipient: &str| match recipient.as_bytes().last() {
        Some(b'3') => BTreeSet::from(["message.failed".to_owned()]),
        _ => BTreeSet::from(taken.clone()),
    };
    let mut last = BTreeMap::new();
    let all_told = async || {
        last = customer.told_of(&messages);
        let is_told = |(recipient, told): (&String, &BTreeSet<(i64, String)>)| {
            told.iter().map(|(_, kind)| kind.clone()).collect::<BTreeSet<_>>() == expected(recipient)
        };
        (last.len() == 3 * MESSAGES && last.iter().all(is_told)).then_some(())
    };
    wait_until(SETTLED, "every change is told", all_told).await;
    for (recipient, told) in &last {
        let sequences: Vec<_> = told.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(
            sequences,
            (1..=i64::try_from(told.len()).expect("few")).collect::<Vec<_>>(),
            "{recipient}: {told:?}"
        );
    }
    let of_others = "SELECT COUNT(*) FROM callback_events WHERE customer_id <> 1";
    assert_eq!(platform.tables.number(of_others).await, 0);
    let raised =
        format!("SELECT COUNT(*) FROM message_status WHERE message_identifier = '{silent}' AND sequence IS NOT NULL");
    assert_eq!(platform.tables.number(&raised).await, 0);
    platform.simulator.stop().await;
}

/// A message may say where it is told of: at the customer's own server, and signed with that endpoint's secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_told_of_where_it_says() {
    let mut platform = setup().start().await;
    platform.top_up(1, 10_000).await;
    let customer = Customer::of(&platform, 1).await;
    let elsewhere = json!({ "text": "hi", "recipients": ["+491"], "callback_url": "https://example.com/sms" });
    let (status, refused) = customer.client.ask("POST", "/messages/send", Some(&elsewhere)).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_input")), "{refused}");
    let url = format!("{}?order=4711", customer.receiver.url);
    let body = json!({ "text": "hi", "recipients": ["+491"], "callback_url": url });
    let is_told = async || {
        let (status, sent) = customer.client.ask("POST", "/messages/send", Some(&body)).await;
        assert_eq!(status, 200, "{sent}");
        platform.wait_all_terminal().await;
        (!customer.told().is_empty()).then_some(())
    };
    wait_until(SETTLED, "something is told", is_told).await;
    assert!(customer.receiver.received().iter().all(|received| received.target == "/callbacks?order=4711"));
    let path = format!("/callbacks/endpoints/{}", customer.endpoint);
    assert_eq!(customer.client.ask("PATCH", &path, Some(&json!({ "enabled": false }))).await.0, 200);
    assert_eq!(customer.client.ask("POST", "/messages/send", Some(&body)).await.0, 400, "it is told nothing");
    platform.simulator.stop().await;
}

fn restart<'a>(services: impl IntoIterator<Item = &'a mut test_support::ServiceProcess>) {
    for service in services {
        service.kill();
        service.start();
    }
}
