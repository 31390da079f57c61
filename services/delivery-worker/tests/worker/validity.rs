//! Messages that may wait for an operator, until their time is over.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use delivery_worker::WorkerConfig;
use domain::PerLane;
use operator_simulator::{Behaviour, Mode, Rule};
use persistence::AcceptRequest;

use crate::support::{Fixture, PRICE, config, message};

/// Messages that say nothing may be sent for ten minutes.
fn patient() -> WorkerConfig {
    WorkerConfig { validity: PerLane::from_fn(|_| Some(Duration::from_mins(10))), ..config() }
}

#[expect(clippy::disallowed_methods, reason = "a time that has just been, on this machine's clock")]
fn ago(time: TimeDelta) -> DateTime<Utc> {
    Utc::now() - time
}

fn until(mut request: AcceptRequest, time: DateTime<Utc>) -> AcceptRequest {
    request.payload.message.expires_at = Some(time);
    request
}

#[tokio::test]
async fn a_blip_of_all_operators_refunds_nothing() {
    let fixture = Fixture::new().await;
    let away = Behaviour::from(Rule { mode: Mode::Status { code: 503 }, times: Some(1) });
    for operator in ["a", "b"] {
        fixture.simulator.set_behaviour(operator, away.clone()).expect("valid");
    }
    let worker = fixture.worker(&patient(), fixture.operators(&["a", "b"])).await;
    let request = message("m1", &["+4915110", "+4915111"]);
    fixture.send(std::slice::from_ref(&request)).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["pending", "pending"], "they wait for a first round again");
    assert_eq!(fixture.metrics.value(r#"recipients_settled_total{result="deferred"}"#), 2);
    assert_eq!(fixture.spent().await, 2 * PRICE);

    // The outbox brings it back.
    fixture.publish(&[request]).await;
    fixture.answered("ok", 2).await;
    assert_eq!(
        fixture.sql.rows("m1").await,
        ["done a", "done a"],
        "the first operator is asked first, as if nothing had been"
    );
    assert_eq!(fixture.calls().len(), 2 * 3);
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_is_not_sent_in_time_fails_without_a_call_and_is_refunded_once() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(&patient(), fixture.operators(&["a", "b"])).await;
    let late = until(message("m1", &["+4915110", "+4915111"]), ago(TimeDelta::days(2)));
    fixture.send(std::slice::from_ref(&late)).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["failed", "failed"]);
    assert_eq!(fixture.metrics.value("recipients_expired_total"), 2);
    assert_eq!(fixture.spent().await, 0);
    fixture.publish(&[late]).await;
    fixture.answered("ok", 2).await;
    assert_eq!((fixture.calls(), fixture.spent().await), (Vec::new(), 0));
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_rejection_ends_a_message_that_might_wait() {
    let fixture = Fixture::new().await;
    fixture.simulator.set_behaviour("a", Mode::Reject { code: 422 }).expect("valid");
    let worker = fixture.worker(&patient(), fixture.operators(&["a", "b"])).await;
    fixture.send(&[message("m1", &["+4915110"])]).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["failed a"]);
    assert_eq!(fixture.spent().await, 0);
    worker.stop().await;
    fixture.remove().await;
}

/// An operator took it and its answer was lost; then it is away until the time is over. Nobody knows that it has it, so nothing is given back.
#[tokio::test]
async fn what_an_operator_may_have_is_not_given_back_when_its_time_is_over() {
    let fixture = Fixture::new().await;
    fixture.simulator.set_behaviour("a", Mode::AcceptThenReset).expect("valid");
    let worker = fixture.worker(&patient(), fixture.operators(&["a"])).await;
    let request = message("m1", &["+4915110"]);
    fixture.send(std::slice::from_ref(&request)).await;
    fixture.answered("ok", 1).await;
    assert_eq!(fixture.sql.rows("m1").await, ["sending"]);
    // Its answers to the same key would tell; it has none.
    let away = Behaviour { dedupe: false, ..Behaviour::from(Mode::Status { code: 503 }) };
    fixture.simulator.set_behaviour("a", away).expect("valid");
    let late = until(request.clone(), ago(TimeDelta::minutes(1)));
    for number in 2..4 {
        fixture.publish(std::slice::from_ref(&late)).await;
        fixture.answered("ok", number).await;
        assert_eq!(fixture.sql.rows("m1").await, ["sending"]);
        assert_eq!(fixture.spent().await, PRICE);
    }
    assert_eq!(fixture.calls().len(), 3, "it is asked about all the same");
    // A day after its time nobody asks any more.
    fixture.publish(&[until(request, ago(TimeDelta::hours(25)))]).await;
    fixture.answered("ok", 4).await;
    assert_eq!((fixture.sql.rows("m1").await, fixture.calls().len()), (vec!["done".to_owned()], 3));
    assert_eq!(fixture.spent().await, PRICE, "it counts as taken");
    worker.stop().await;
    fixture.remove().await;
}
