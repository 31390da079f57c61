//! Each mode, as a client meets it.

use std::time::{Duration, Instant};

use operator_simulator::{Behaviour, Decision, Mode, Rule, Simulator};

use crate::{
    client::{call, open, read_all, submission, submit},
    start,
};

fn decisions(simulator: &Simulator) -> Vec<(Decision, bool)> {
    simulator.journal().iter().map(|entry| (entry.decision, entry.duplicate)).collect()
}

/// Waits until the journal has `count` entries.
async fn wait_for_entries(simulator: &Simulator, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while simulator.journal().len() < count {
        assert!(Instant::now() < deadline, "the request was not recorded");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn status_and_reject_answer_their_codes() {
    let simulator = start();
    let behaviour = r#"{"default": {"mode": "status", "code": 503}, "recipients": {"111": {"mode": "accept"}},
                        "suffixes": {"22": {"mode": "reject", "code": 422}}}"#;
    assert_eq!(call(simulator.address(), "PUT", "/operators/a/behaviour", None, behaviour).await.0, 204);
    assert_eq!(submit(simulator.address(), "m", "111").await.0, 200);
    assert_eq!(submit(simulator.address(), "m", "122").await.0, 422);
    assert_eq!(submit(simulator.address(), "m", "133").await.0, 503);
    let expected = [(Decision::Accepted, false), (Decision::Rejected, false), (Decision::Failed, false)];
    assert_eq!(decisions(&simulator), expected);
    simulator.stop().await;
}

#[tokio::test]
async fn a_mode_may_serve_only_the_first_calls_of_each_key() {
    let simulator = start();
    let rule = Rule { mode: Mode::Status { code: 500 }, times: Some(2) };
    simulator.set_behaviour("a", rule).expect("valid");
    for expected in [500, 500, 200, 200] {
        assert_eq!(submit(simulator.address(), "m", "111").await.0, expected);
    }
    assert_eq!(submit(simulator.address(), "m", "222").await.0, 500, "each key is counted on its own");
    simulator.stop().await;
}

#[tokio::test]
async fn a_delay_holds_the_answer_back_but_not_the_decision() {
    let simulator = start();
    let delay = Duration::from_millis(200);
    simulator.set_behaviour("a", Mode::Accept { delay }).expect("valid");
    let started = Instant::now();
    assert_eq!(submit(simulator.address(), "m", "111").await.0, 200);
    assert!(started.elapsed() >= delay);
    assert_eq!(decisions(&simulator), [(Decision::Accepted, false)]);
    simulator.stop().await;
}

#[tokio::test]
async fn reset_closes_without_an_answer() {
    let simulator = start();
    for (mode, decision) in [(Mode::Reset, Decision::Reset), (Mode::AcceptThenReset, Decision::Accepted)] {
        simulator.clear_journal();
        simulator.set_behaviour("a", mode).expect("valid");
        let stream = open(simulator.address(), "POST", "/operators/a/messages", Some("k"), &submission("m", "1")).await;
        assert!(read_all(stream).await.is_empty());
        assert_eq!(decisions(&simulator), [(decision, false)]);
    }
    simulator.stop().await;
}

#[tokio::test]
async fn stall_keeps_the_connection_without_an_answer() {
    let simulator = start();
    for (mode, decision) in [(Mode::Stall, Decision::Stalled), (Mode::AcceptThenStall, Decision::Accepted)] {
        simulator.clear_journal();
        simulator.set_behaviour("a", mode).expect("valid");
        let stream = open(simulator.address(), "POST", "/operators/a/messages", Some("k"), &submission("m", "1")).await;
        wait_for_entries(&simulator, 1).await;
        let mut byte = [0];
        let silence = tokio::time::timeout(Duration::from_millis(200), stream.peek(&mut byte)).await;
        assert!(silence.is_err(), "neither an answer nor a close: {silence:?}");
        assert_eq!(decisions(&simulator), [(decision, false)]);
    }
    simulator.stop().await;
}

#[tokio::test]
async fn what_was_accepted_without_an_answer_is_answered_when_asked_again() {
    let simulator = start();
    simulator.set_behaviour("a", Mode::AcceptThenReset).expect("valid");
    let body = submission("m", "111");
    let stream = open(simulator.address(), "POST", "/operators/a/messages", Some("m:111"), &body).await;
    assert!(read_all(stream).await.is_empty());
    let (status, receipt) = submit(simulator.address(), "m", "111").await;
    assert_eq!(status, 200);
    assert!(receipt["provider_message_id"].is_string());
    assert_eq!(decisions(&simulator), [(Decision::Accepted, false), (Decision::Accepted, true)]);
    assert_eq!(simulator.stats().operators["a"].accepted_keys, 1);
    simulator.stop().await;
}

#[tokio::test]
async fn an_operator_without_dedupe_delivers_twice() {
    let simulator = start();
    simulator.set_behaviour("a", Behaviour { dedupe: false, ..Behaviour::default() }).expect("valid");
    let (_, first) = submit(simulator.address(), "m", "111").await;
    let (_, second) = submit(simulator.address(), "m", "111").await;
    assert_ne!(first, second);
    assert_eq!(decisions(&simulator), [(Decision::Accepted, false); 2]);
    let stats = simulator.stats().operators["a"].clone();
    assert_eq!((stats.accepted, stats.accepted_keys), (2, 1));
    simulator.stop().await;
}
