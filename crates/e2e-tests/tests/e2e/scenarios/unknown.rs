//! Operators that take a message and never say so.

use operator_simulator::{Decision, Mode, Rule};
use test_support::wait_until;

use super::outcomes;
use crate::{
    client::Kind,
    platform::{Platform, SETTLED, Setup},
};

/// Waits until the worker has put the message off: its event waits in the outbox for a later time.
async fn wait_put_off(platform: &Platform, message: &str) {
    wait_until(SETTLED, "a message that is put off", async || {
        (platform.tables.outbox_event(message).await == ("pending".to_owned(), true)).then_some(())
    })
    .await;
}

/// Nothing has been given back, and nothing is final.
async fn assert_open(platform: &Platform, message: &str) {
    let rows = platform.history_of(message).await;
    assert!(rows.iter().all(|row| row.status == "sending"), "an unknown outcome was recorded as known: {rows:?}");
    let refunded = platform.client.balance(1).await.transactions;
    assert!(refunded.iter().all(|row| row.kind != "corrective"), "an unknown outcome was refunded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_is_not_refunded_and_is_asked_again_under_the_same_key() {
    let setup = Setup::new().operators(&["operatorA"]).set("OPERATOR_TIMEOUT_MS", "1500");
    let mut platform = setup.set("OPERATOR_MAX_RETRIES", "0").start().await;
    platform.simulator.set_behaviour("operatorA", Mode::AcceptThenStall).expect("valid");
    platform.top_up(1, 100).await;
    let message = platform.send(1, Kind::Normal, &["+98101"]).await;
    wait_put_off(&platform, &message).await;
    assert_open(&platform, &message).await;
    platform.wait_all_terminal().await;
    assert_eq!(outcomes(&platform.history_of(&message).await), [("+98101", "done", "operatorA")]);
    let entries: Vec<_> = platform.entries_of(&message).iter().map(|it| (it.decision, it.duplicate)).collect();
    let expected = [(Decision::Accepted, false), (Decision::Accepted, true)];
    assert!(entries.starts_with(&expected), "asked again and recognised: {entries:?}");
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_by_the_next_operator_does_not_settle_an_unknown_outcome() {
    let mut platform = Setup::new().set("OPERATOR_TIMEOUT_MS", "1500").set("OPERATOR_MAX_RETRIES", "0").start().await;
    platform.simulator.set_behaviour("operatorA", Mode::AcceptThenStall).expect("valid");
    platform.simulator.set_behaviour("operatorB", Mode::Reject { code: 400 }).expect("valid");
    platform.top_up(1, 100).await;
    let message = platform.send(1, Kind::Express, &["+98101"]).await;
    wait_put_off(&platform, &message).await;
    assert_open(&platform, &message).await;
    platform.wait_all_terminal().await;
    assert_eq!(outcomes(&platform.history_of(&message).await), [("+98101", "done", "operatorA")]);
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_request_is_asked_again_until_an_operator_answers() {
    let setup = Setup::new().operators(&["operatorA"]).set("OPERATOR_TIMEOUT_MS", "1500");
    let mut platform = setup.set("OPERATOR_MAX_RETRIES", "0").start().await;
    platform.simulator.set_behaviour("operatorA", Rule { mode: Mode::Stall, times: Some(1) }).expect("valid");
    platform.top_up(1, 100).await;
    let message = platform.send(1, Kind::Normal, &["+98101", "+98102"]).await;
    wait_put_off(&platform, &message).await;
    assert_open(&platform, &message).await;
    platform.wait_all_terminal().await;
    let done = |recipient| (recipient, "done", "operatorA");
    assert_eq!(outcomes(&platform.history_of(&message).await), ["+98101", "+98102"].map(done));
    platform.finish().await;
}
