//! Delivery receipts of operators, whatever order they come in, and whatever is killed meanwhile.

use std::time::Duration;

use operator_simulator::{AnsweredId, Behaviour, IdForm, Receipt, Receipts};
use test_support::wait_until;

use crate::{
    client::Kind,
    platform::{Platform, SETTLED, Setup},
};

/// What operator A signs with, and operator B shows; made up for tests.
pub(crate) const SIGNED: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const TOKEN: &str = "mpr_aEP9zIeRgg8RqLXOzajjlMHeEc7KSz3Y4DoYHu";

/// `RECEIPT_SECRETS` of every platform.
pub(crate) fn secrets() -> String {
    format!("operatorA={SIGNED},operatorB={TOKEN}")
}

impl Platform {
    /// Receipts of this operator to the gateway.
    fn receipts(&self, operator: &str, secret: &str) -> Receipts {
        Receipts::to(format!("{}/operators/{operator}/receipts", self.gateway.base_url()), secret)
    }

    /// What is told of each recipient of a message, in order.
    async fn told(&self, message: &str) -> Vec<(String, String, String)> {
        let (status, found) = self.client.get(&format!("/messages/{message}?limit=500")).await.expect("an answer");
        assert_eq!(status, 200, "{found}");
        let text = |entry: &serde_json::Value, member: &str| entry[member].as_str().unwrap_or("-").to_owned();
        let entries = found["recipients"].as_array().expect("recipients").iter();
        let mut told: Vec<_> = entries
            .map(|entry| (text(entry, "recipient"), text(entry, "status"), text(entry, "delivery_status")))
            .collect();
        told.sort_unstable();
        told
    }

    async fn wait_told(&self, message: &str, expected: &[(&str, &str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(number, status, told)| [*number, *status, *told].map(str::to_owned).into()).collect();
        let mut last = Vec::new();
        let is_told = async || {
            last = self.told(message).await;
            (last == expected).then_some(())
        };
        wait_until(SETTLED, &format!("{expected:?}"), is_told).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_find_their_messages_in_any_order_and_form() {
    let mut platform = Setup::new().operators(&["operatorA"]).start().await;
    let slowly = Duration::from_millis(300);
    let receipts = platform
        .receipts("operatorA", SIGNED)
        .with_ids(AnsweredId::Hex)
        .with_default(vec![Receipt::of("DELIVRD").after(slowly).id(IdForm::Decimal).error_code("000")])
        .with_suffix("1", vec![Receipt::of("delivered").before_answer().id(IdForm::Decimal).times(2)])
        .with_suffix(
            "2",
            vec![
                // The end before what came before it, and a delivery after all.
                Receipt::of("undelivered").id(IdForm::Same).error_code("1B"),
                Receipt::of("enroute").after(slowly),
                Receipt::of("delivered").after(slowly * 2).id(IdForm::Padded),
            ],
        )
        .with_suffix("3", vec![Receipt::of("EXPIRED").id(IdForm::Upper).times(3), Receipt::of("enroute").after(slowly)])
        .with_suffix("4", vec![]);
    let behaviour = Behaviour::default().with_receipts(receipts);
    platform.simulator.set_behaviour("operatorA", behaviour).expect("valid");
    platform.top_up(1, 1_000).await;
    let numbers = ["+4915100000", "+4915100001", "+4915100002", "+4915100003", "+4915100004"];
    let told = ["delivered", "delivered", "delivered", "expired", "-"];
    for kind in [Kind::Normal, Kind::Express] {
        let message = platform.send(1, kind, &numbers).await;
        let expected: Vec<_> = numbers.iter().zip(told).map(|(number, told)| (*number, "done", told)).collect();
        platform.wait_told(&message, &expected).await;
    }
    platform.finish().await;
}

/// An operator posts again what was not answered; what was answered is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_and_workers_that_die_lose_no_receipt() {
    let mut platform = Setup::new().start().await;
    for (operator, secret) in [("operatorA", SIGNED), ("operatorB", TOKEN)] {
        let receipts = platform
            .receipts(operator, secret)
            .with_default(vec![Receipt::of("delivered").after(Duration::from_millis(50))])
            .with_suffix("7", vec![Receipt::of("delivered").before_answer()]);
        platform.simulator.set_behaviour(operator, Behaviour::default().with_receipts(receipts)).expect("valid");
    }
    platform.top_up(1, 10_000).await;
    let mut messages = Vec::new();
    for round in 0..6 {
        let numbers: Vec<_> = (0..50).map(|number| format!("+49151{round}{number:05}")).collect();
        let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
        messages.push(platform.send(1, Kind::Normal, &numbers).await);
        if round % 2 == 1 {
            platform.gateway.kill();
            platform.workers[0].kill();
            platform.workers[0].start();
            platform.gateway.start();
            platform.gateway.ready().await;
        }
    }
    platform.wait_all_terminal().await;
    for message in &messages {
        let all_delivered = async || {
            let told = platform.told(message).await;
            told.iter().all(|(_, status, told)| status == "done" && told == "delivered").then_some(told.len())
        };
        assert_eq!(wait_until(SETTLED, "every receipt has its message", all_delivered).await, 50);
    }
    platform.finish().await;
}
