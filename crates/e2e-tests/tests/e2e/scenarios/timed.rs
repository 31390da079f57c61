//! Messages that wait for an operator or for their time, and what ends them.

use std::{collections::BTreeSet, time::Duration};

use chrono::{TimeDelta, Utc};
use operator_simulator::{Behaviour, Decision, Mode};
use serde_json::{Value, json};
use test_support::wait_until;

use crate::{
    client::{Kind, Submission},
    platform::{Observed as _, Platform, SETTLED, Setup},
};

#[expect(clippy::disallowed_methods, reason = "a client says when by its own clock")]
fn in_seconds(seconds: i64) -> String {
    (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339()
}

impl Platform {
    /// Sends a body as it is; the platform's books know nothing of it.
    async fn send_body(&self, body: &Value) -> Value {
        let (status, answer) = self.client.ask("POST", "/messages/send", Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// What is told of the only recipient of a message.
    async fn only_recipient(&self, message: &Value) -> Option<Value> {
        let path = format!("/messages/{}", message["message_identifier"].as_str().expect("an id"));
        Some(self.client.get(&path).await?.1["recipients"][0].clone())
    }

    async fn balance(&self) -> i64 {
        self.client.balance(1).await.balance
    }

    fn both_operators(&self, behaviour: &Behaviour) {
        for operator in ["operatorA", "operatorB"] {
            self.simulator.set_behaviour(operator, behaviour.clone()).expect("valid");
        }
    }
}

/// Both operators are away for seconds: without a validity all that is met by it fails, with one nothing does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blip_of_all_operators_refunds_nothing() {
    let setup = Setup::new().set_for("delivery-worker", "VALIDITY_NORMAL_SECS", "300");
    let mut platform = setup.set_for("delivery-worker", "VALIDITY_EXPRESS_SECS", "300").start().await;
    platform.both_operators(&Behaviour::from(Mode::Status { code: 503 }));
    platform.top_up(1, 100_000).await;
    for round in 0..12 {
        let numbers: Vec<_> = (0..20).map(|number| format!("+49151{round:02}{number:04}")).collect();
        let kind = if round % 2 == 0 { Kind::Normal } else { Kind::Express };
        let submission = Submission { recipients: numbers, ..Submission::new(1, kind, &[]) };
        platform.send_as(submission).await;
    }
    // All have met it.
    wait_until(SETTLED, "every recipient was put off", async || {
        (platform.workers[0].metric("recipients_settled_total", &[r#"result="deferred""#]).await >= 240.0).then_some(())
    })
    .await;
    platform.workers[0].kill();
    platform.workers[0].start();
    platform.both_operators(&Behaviour::default());
    platform.wait_all_terminal().await;
    assert!(platform.client.history("user_id=1&status=failed").await.is_empty(), "something was given up");
    platform.finish().await;
}

/// What no operator took by its time is given back once, and what one may have is not, whatever was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_given_back_once_and_what_may_be_taken_never() {
    let setup = Setup::new().operators(&["operatorA"]).set("OPERATOR_MAX_RETRIES", "0");
    let mut platform = setup.set("OPERATOR_TIMEOUT_MS", "1500").start().await;
    // Takes it and does not say so; then it is away for good.
    let silent = Behaviour::from(Mode::Status { code: 503 }).with_suffix("7", Mode::AcceptThenStall);
    platform.simulator.set_behaviour("operatorA", silent).expect("valid");
    platform.top_up(1, 1_000).await;
    let body = |number: &str| json!({"customer_id": 1, "text": "hi", "recipients": [number], "validity_seconds": 6});
    let nobodys = platform.send_body(&body("+49151000001")).await;
    let taken = platform.send_body(&body("+49151000007")).await;
    let is_taken = || platform.simulator.journal().iter().any(|entry| entry.decision == Decision::Accepted);
    wait_until(SETTLED, "the operator took one", async || is_taken().then_some(())).await;
    let is_put_off = async || (platform.only_recipient(&nobodys).await?["status"] == "pending").then_some(());
    wait_until(SETTLED, "the other waits for another round", is_put_off).await;
    platform.workers[0].kill();
    let away = Behaviour { dedupe: false, ..Behaviour::from(Mode::Status { code: 503 }) };
    platform.simulator.set_behaviour("operatorA", away).expect("valid");
    platform.workers[0].start();
    let expired = async || (platform.only_recipient(&nobodys).await?["error_code"] == "expired").then_some(());
    wait_until(SETTLED, "the one that nobody has expired", expired).await;
    let of = async |message| platform.only_recipient(message).await.expect("an answer")["status"].clone();
    assert_eq!((of(&nobodys).await, of(&taken).await), (json!("failed"), json!("sending")));
    assert_eq!(platform.balance().await, 1_000 - 2);
    // It says now that it has it.
    platform.simulator.set_behaviour("operatorA", Behaviour::default()).expect("valid");
    platform.wait_all_terminal().await;
    assert_eq!(platform.balance().await, 1_000 - 2);
    platform.simulator.stop().await;
}

/// Relays are killed while messages fall due and customers cancel: each is sent or given back, and never both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduled_messages_are_sent_or_cancelled_and_never_both() {
    const MESSAGES: usize = 60;
    let mut platform = Setup::new().start().await;
    platform.top_up(1, 10_000).await;
    let mut messages = Vec::new();
    for number in 0..MESSAGES {
        let body = json!({"customer_id": 1, "text": "hi", "recipients": [format!("+49151{number:06}")],
            "send_at": in_seconds(4 + i64::try_from(number % 3).expect("few"))});
        let message = platform.send_body(&body).await;
        assert_eq!(message["status"], "scheduled");
        messages.push(message);
    }
    assert_eq!(platform.balance().await, 10_000 - 2 * 60);
    let mut cancelled = 0;
    for (place, message) in messages.iter().enumerate() {
        let path = format!("/messages/{}/cancel", message["message_identifier"].as_str().expect("an id"));
        let (status, answer) = platform.client.ask("POST", &path, None).await;
        match status {
            200 => cancelled += 1,
            409 => assert_eq!(answer["error"], "not_cancellable"),
            other => panic!("{other}: {answer}"),
        }
        // Most of them are cancelled while others fall due.
        tokio::time::sleep(Duration::from_millis(100)).await;
        if place % 20 == 10 {
            platform.relays[0].kill();
            platform.relays[0].start();
        }
    }
    platform.wait_all_terminal().await;
    let failed = platform.client.history("user_id=1&status=failed").await.len();
    assert_eq!(failed, cancelled, "nothing else fails");
    let sent: BTreeSet<_> = platform.simulator.journal().into_iter().map(|entry| entry.key).collect();
    assert_eq!(sent.len(), MESSAGES - cancelled);
    let done = i64::try_from(MESSAGES - cancelled).expect("few");
    assert_eq!(platform.balance().await, 10_000 - 2 * done);
    let mismatches = async || (platform.relays[0].metric("ledger_mismatches", &[]).await < 0.5).then_some(());
    wait_until(SETTLED, "balances are the sums of their ledgers", mismatches).await;
    platform.simulator.stop().await;
}
