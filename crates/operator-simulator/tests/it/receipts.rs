//! Delivery receipts, as they reach a gateway.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use operator_simulator::{AnsweredId, Behaviour, IdForm, Mode, OperatorStats, Receipt, Receipts, Simulator};
use serde_json::json;
use sha2::Sha256;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::timeout,
};

use crate::{
    ANY,
    client::{call, open, read_all, submission, submit},
    receiver::{Received, Receiver},
    start,
};

const DEADLINE: Duration = Duration::from_secs(20);
const BEARER: &str = "mpr_1";

/// A simulator whose operator `a` posts `receipts` of everything that it takes.
fn reporting(receiver: &Receiver, receipts: Vec<Receipt>) -> Simulator {
    with(Receipts::to(receiver.url(), BEARER).with_default(receipts))
}

fn with(receipts: Receipts) -> Simulator {
    let simulator = start();
    simulator.set_behaviour("a", Behaviour::default().with_receipts(receipts)).expect("valid");
    simulator
}

/// Waits until the counts of operator `a` are as they should be.
async fn wait_for_stats(simulator: &Simulator, are_so: impl Fn(&OperatorStats) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let stats = simulator.stats().operators["a"].clone();
        if are_so(&stats) {
            return;
        }
        assert!(Instant::now() < deadline, "{stats:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn stop(simulator: Simulator, receiver: Receiver) {
    simulator.stop().await;
    receiver.stop().await;
}

#[tokio::test]
async fn a_receipt_follows_the_answer_and_bears_the_secret() {
    let receiver = Receiver::start(&[]);
    let delay = Duration::from_millis(200);
    let simulator = start();
    let receipts = Receipts::to(receiver.url(), BEARER).with_default(vec![Receipt::of("delivered").error_code("000")]);
    let behaviour = Behaviour::from(Mode::Accept { delay }).with_receipts(receipts);
    simulator.set_behaviour("a", behaviour).expect("valid");
    let started = Instant::now();
    let (status, answer) = submit(simulator.address(), "m1", "+4911").await;
    assert_eq!(status, 200);

    let receipt = receiver.wait_for(1).await.remove(0);
    assert!(receipt.at - started >= delay, "it came before the answer");
    assert_eq!(receipt.header("authorization"), Some("Bearer mpr_1"));
    assert_eq!(receipt.header("content-type"), Some("application/json"));
    assert_eq!(receipt.header("webhook-signature"), None);
    let id = &answer["provider_message_id"];
    let expected =
        json!({ "provider_message_id": id, "status": "delivered", "recipient": "+4911", "error_code": "000" });
    assert_eq!(receipt.json(), expected);
    wait_for_stats(&simulator, |stats| (stats.receipts_posted, stats.receipts_refused) == (1, 0)).await;
    simulator.clear_journal();
    assert_eq!(simulator.stats().operators["a"].receipts_posted, 0);
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn a_secret_that_signs_gives_signatures_of_standard_webhooks() {
    let receiver = Receiver::start(&[]);
    let key: Vec<u8> = (0..32).collect();
    let secret = format!("whsec_{}", STANDARD.encode(&key));
    let simulator = with(Receipts::to(receiver.url(), secret).with_default(vec![Receipt::of("delivered")]));
    submit(simulator.address(), "m1", "111").await;

    let receipt = receiver.wait_for(1).await.remove(0);
    assert_eq!(receipt.header("authorization"), None);
    let header = |name| receipt.header(name).expect("it is signed");
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("{id}.{timestamp}.{}", receipt.body).as_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    let decided = simulator.journal()[0].at_ms / 1000;
    let timestamp: u64 = timestamp.parse().expect("seconds");
    assert!((decided..decided + 60).contains(&timestamp), "{timestamp} is not about {decided}");
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn receipts_may_come_before_the_answer() {
    let receiver = Receiver::start(&[]);
    let simulator =
        reporting(&receiver, vec![Receipt::of("enroute").before_answer(), Receipt::of("delivered").before_answer()]);
    for (message, count) in [("m1", 2), ("m2", 4)] {
        assert_eq!(submit(simulator.address(), message, "111").await.0, 200);
        assert_eq!(receiver.received().len(), count, "the answer did not wait");
    }
    let statuses: Vec<_> = receiver.received().iter().map(Received::status).collect();
    assert_eq!(statuses, ["enroute", "delivered", "enroute", "delivered"]);
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn an_answer_does_not_wait_for_what_is_posted_again() {
    let receiver = Receiver::start(&[503; 100]);
    let simulator = reporting(&receiver, vec![Receipt::of("delivered").before_answer()]);
    assert_eq!(submit(simulator.address(), "m1", "111").await.0, 200);
    assert_eq!(simulator.stats().operators["a"].receipts_posted, 0);
    receiver.wait_for(2).await;
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn a_receipt_may_come_twice_and_each_is_one_of_its_own() {
    let receiver = Receiver::start(&[]);
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let simulator = with(Receipts::to(receiver.url(), secret).with_default(vec![Receipt::of("delivered").times(2)]));
    submit(simulator.address(), "m1", "111").await;
    let receipts = receiver.wait_for(2).await;
    assert_eq!(receipts[0].body, receipts[1].body);
    assert_ne!(receipts[0].header("webhook-id"), receipts[1].header("webhook-id"));
    wait_for_stats(&simulator, |stats| stats.receipts_posted == 2).await;
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn ids_may_be_answered_in_hexadecimal_digits_and_reported_in_decimal_ones() {
    let receiver = Receiver::start(&[]);
    let receipts = Receipts::to(receiver.url(), BEARER).with_ids(AnsweredId::Hex);
    let simulator = with(receipts.with_default(vec![Receipt::of("delivered").id(IdForm::Decimal)]));
    let (_, answer) = submit(simulator.address(), "m1", "111").await;
    let answered = answer["provider_message_id"].as_str().expect("an id");
    let number = u64::from_str_radix(answered, 16).expect("hexadecimal digits");
    let receipt = receiver.wait_for(1).await.remove(0);
    assert_eq!(receipt.json()["provider_message_id"], number.to_string());
    assert_ne!(answered, number.to_string());
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn only_recipients_that_were_named_have_receipts() {
    let receiver = Receiver::start(&[]);
    let simulator = start();
    let behaviour = json!({ "receipts": {
        "to": receiver.url(), "secret": BEARER, "ids": "decimal",
        "recipients": { "+4912": [] },
        "suffixes": { "12": [{ "status": "expired", "before_answer": true, "with_recipient": false, "part": 1 }] },
    } });
    let path = "/operators/a/behaviour";
    assert_eq!(call(simulator.address(), "PUT", path, None, &behaviour.to_string()).await.0, 204);
    for recipient in ["+4911", "+4912", "+5512"] {
        assert_eq!(submit(simulator.address(), "m1", recipient).await.0, 200);
    }
    let bodies: Vec<_> = receiver.received().iter().map(Received::json).collect();
    assert_eq!(bodies, [json!({ "provider_message_id": "439041003", "status": "expired", "part": 1 })]);
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn receipts_may_come_out_of_order() {
    let receiver = Receiver::start(&[]);
    let late = Receipt::of("enroute").after(Duration::from_millis(300));
    let simulator = reporting(&receiver, vec![late, Receipt::of("delivered")]);
    submit(simulator.address(), "m1", "111").await;
    let statuses: Vec<_> = receiver.wait_for(2).await.iter().map(Received::status).collect();
    assert_eq!(statuses, ["delivered", "enroute"]);
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn what_is_not_taken_is_posted_again_and_what_is_refused_is_given_up() {
    let receiver = Receiver::start(&[503, 429, 204, 404]);
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let simulator = with(Receipts::to(receiver.url(), secret).with_default(vec![Receipt::of("delivered")]));
    submit(simulator.address(), "m1", "111").await;
    wait_for_stats(&simulator, |stats| (stats.receipts_posted, stats.receipts_refused) == (1, 0)).await;
    let receipts = receiver.received();
    assert_eq!(receipts.len(), 3);
    for again in &receipts[1..] {
        assert_eq!(again.header("webhook-id"), receipts[0].header("webhook-id"));
        assert_eq!(again.body, receipts[0].body);
    }
    submit(simulator.address(), "m2", "111").await;
    wait_for_stats(&simulator, |stats| (stats.receipts_posted, stats.receipts_refused) == (1, 1)).await;
    assert_eq!(receiver.received().len(), 4);
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn a_receipt_waits_for_a_gateway_that_is_not_there_yet() {
    // Bound, but nobody listens: connections are refused, and no other test is given the port.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(ANY).expect("a free port");
    let url = format!("http://{}/receipts", socket.local_addr().expect("bound"));
    let simulator = with(Receipts::to(url, BEARER).with_default(vec![Receipt::of("delivered").before_answer()]));
    assert_eq!(submit(simulator.address(), "m1", "111").await.0, 200, "no gateway, no wait");
    let stats = simulator.stats().operators["a"].clone();
    assert_eq!((stats.receipts_posted, stats.receipts_refused), (0, 0));

    let listener = socket.listen(16).and_then(TcpListener::into_std).expect("it listens");
    let receiver = Receiver::start_on(listener, &[]);
    wait_for_stats(&simulator, |stats| stats.receipts_posted == 1).await;
    assert_eq!(receiver.received().len(), 1);
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn duplicates_have_no_receipts_unless_they_are_not_recognised() {
    let receiver = Receiver::start(&[]);
    let receipts = Receipts::to(receiver.url(), BEARER).with_default(vec![Receipt::of("delivered").before_answer()]);
    let simulator = with(receipts.clone());
    let (_, first) = submit(simulator.address(), "m1", "111").await;
    let (_, again) = submit(simulator.address(), "m1", "111").await;
    assert_eq!(first, again);
    assert_eq!(receiver.received().len(), 1);

    let behaviour = Behaviour { dedupe: false, ..Behaviour::default() }.with_receipts(receipts);
    simulator.set_behaviour("a", behaviour).expect("valid");
    submit(simulator.address(), "m1", "111").await;
    assert_eq!(receiver.received().len(), 2);
    stop(simulator, receiver).await;
}

#[tokio::test]
async fn what_is_accepted_without_an_answer_has_receipts_and_nothing_else_has() {
    let receiver = Receiver::start(&[]);
    let simulator = start();
    let receipts = Receipts::to(receiver.url(), BEARER).with_default(vec![Receipt::of("delivered")]);
    let behaviour = Behaviour::from(Mode::Reject { code: 422 })
        .with_recipient("111", Mode::AcceptThenReset)
        .with_recipient("222", Mode::AcceptThenStall);
    simulator.set_behaviour("a", behaviour.with_receipts(receipts)).expect("valid");
    assert_eq!(submit(simulator.address(), "m1", "333").await.0, 422);
    let send = |recipient: &'static str| {
        let body = submission("m1", recipient);
        let address = simulator.address();
        async move { open(address, "POST", "/operators/a/messages", Some(recipient), &body).await }
    };
    assert!(read_all(send("111").await).await.is_empty());
    receiver.wait_for(1).await;
    let stalled = send("222").await;
    let recipients: Vec<_> =
        receiver.wait_for(2).await.iter().map(|receipt| receipt.json()["recipient"].clone()).collect();
    assert_eq!(recipients, ["111", "222"]);
    stop(simulator, receiver).await;
    drop(stalled);
}

#[tokio::test]
async fn receipts_that_wait_end_when_the_simulator_stops() {
    let receiver = Receiver::start(&[503; 1000]);
    let later = Receipt::of("delivered").after(Duration::from_hours(1)).times(1000);
    let simulator = reporting(&receiver, vec![later, Receipt::of("enroute")]);
    submit(simulator.address(), "m1", "111").await;
    receiver.wait_for(2).await;
    timeout(DEADLINE, simulator.stop()).await.expect("it does not wait for them");
    let count = receiver.received().len();
    // Time for two more posts. One may have been on its way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let received = receiver.received();
    assert!(received.len() <= count + 1, "it was posted after the stop");
    assert!(received.iter().all(|receipt| receipt.status() == "enroute"));
    receiver.stop().await;
}

#[tokio::test]
async fn wrong_receipts_are_refused() {
    let simulator = start();
    let address = simulator.address();
    for wrong in [
        json!({ "to": "https://localhost/", "secret": BEARER }),
        json!({ "to": "http://localhost/", "secret": "whsec_%" }),
        json!({ "to": "http://localhost/" }),
        json!({ "to": "http://localhost/", "secret": BEARER, "ids": "octal" }),
        json!({ "to": "http://localhost/", "secret": BEARER, "default": [{ "times": 2 }] }),
    ] {
        let behaviour = json!({ "receipts": wrong }).to_string();
        let (status, answer) = call(address, "PUT", "/operators/a/behaviour", None, &behaviour).await;
        assert_eq!(status, 400, "{behaviour}");
        assert!(answer["message"].is_string());
    }
    let behaviour = Behaviour::default().with_receipts(Receipts::to("nowhere", BEARER));
    assert!(simulator.set_behaviour("a", behaviour).is_err());
    assert!(simulator.stats().operators.is_empty());
    simulator.stop().await;
}
