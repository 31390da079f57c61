//! What operators answer, and what a round makes of it.

use std::time::Duration;

use operator_simulator::{Decision, Mode, Rule, Simulator};
use operators::{OperatorsConfig, Prior, Verdict};

use crate::{ClosedPort, build, config, simulator, submission, two_operators};

/// The operators asked, in order, as letters.
fn asked(simulator: &Simulator) -> String {
    simulator.journal().iter().map(|entry| entry.operator.as_str()).collect()
}

fn accepted_by(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Accepted { operator, .. } => operator.as_str(),
        other => panic!("not accepted: {other:?}"),
    }
}

#[tokio::test]
async fn an_accepted_message_has_its_operator_and_the_providers_id() {
    let simulator = simulator();
    let verdict = build(two_operators(&simulator)).send(&submission("m"), Prior::First).await;
    let Verdict::Accepted { operator, ids } = verdict else { panic!("{verdict:?}") };
    assert_eq!((operator.as_str(), ids), ("a", vec![domain::ProviderMessageId::parse("a-1")]));
    assert_eq!(asked(&simulator), "a");
    let entry = simulator.journal().remove(0);
    assert_eq!((entry.key.as_str(), entry.r#type.as_str()), ("m:+4915112345", "express"));
    simulator.stop().await;
}

#[tokio::test]
async fn a_failing_operator_is_retried_and_then_passed_over_with_one_key() {
    let simulator = simulator();
    for code in [408, 425, 429, 500, 503] {
        simulator.clear_journal();
        simulator.set_behaviour("a", Mode::Status { code }).expect("valid");
        let operators = build(OperatorsConfig { max_retries: 2, ..two_operators(&simulator) });
        let verdict = operators.send(&submission(&format!("m{code}")), Prior::First).await;
        assert_eq!(accepted_by(&verdict), "b");
        assert_eq!(asked(&simulator), "aaab", "{code}");
        let key = format!("m{code}:+4915112345");
        assert!(simulator.journal().iter().all(|entry| entry.key == key), "one key for all");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn a_retry_is_enough_where_the_operator_recovers() {
    let simulator = simulator();
    simulator.set_behaviour("a", Rule { mode: Mode::Status { code: 503 }, times: Some(1) }).expect("valid");
    let operators = build(OperatorsConfig { max_retries: 2, ..two_operators(&simulator) });
    assert_eq!(accepted_by(&operators.send(&submission("m"), Prior::First).await), "a");
    assert_eq!(asked(&simulator), "aa");
    simulator.stop().await;
}

#[tokio::test]
async fn a_rejection_is_final_and_neither_fails_over_nor_opens_the_breaker() {
    let simulator = simulator();
    simulator.set_behaviour("a", Mode::Reject { code: 422 }).expect("valid");
    let mut config = OperatorsConfig { max_retries: 2, ..two_operators(&simulator) };
    config.breaker.failure_threshold = 1;
    let operators = build(config);
    for number in 0..5 {
        match operators.send(&submission(&format!("m{number}")), Prior::First).await {
            Verdict::Rejected { operator, reason } => {
                assert_eq!((operator.as_str(), reason.as_str()), ("a", "answered 422"));
            }
            other => panic!("not rejected: {other:?}"),
        }
    }
    assert_eq!(asked(&simulator), "aaaaa");
    simulator.stop().await;
}

#[tokio::test]
async fn when_all_answer_that_they_cannot_the_message_failed() {
    let simulator = simulator();
    for operator in ["a", "b"] {
        simulator.set_behaviour(operator, Mode::Status { code: 503 }).expect("valid");
    }
    let operators = build(two_operators(&simulator));
    for history in [Prior::First, Prior::Resumed] {
        let verdict = operators.send(&submission("m"), history).await;
        assert_eq!(verdict, Verdict::Failed { reason: "a answered 503; b answered 503".into() });
    }
    simulator.stop().await;
}

#[tokio::test]
async fn a_refused_connection_means_not_sent() {
    let closed = ClosedPort::new();
    let operators = build(OperatorsConfig { max_retries: 1, ..config(&format!("a=http://{}/", closed.address)) });
    match operators.send(&submission("m"), Prior::First).await {
        Verdict::Failed { reason } => assert!(reason.contains("a was not reached: Connection refused"), "{reason}"),
        other => panic!("not failed: {other:?}"),
    }
    let resumed = operators.send(&submission("m"), Prior::Resumed).await;
    assert!(matches!(resumed, Verdict::Unknown { .. }), "it may have it from before: {resumed:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_means_not_sent() {
    // A label that is too long for DNS: the resolver refuses it without asking anybody.
    let operators = build(config(&format!("a=http://{}.invalid/", "a".repeat(64))));
    let verdict = operators.send(&submission("m"), Prior::First).await;
    assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
}

#[tokio::test]
async fn a_timeout_is_unknown_until_a_later_round_settles_it() {
    let simulator = simulator();
    simulator.set_behaviour("a", Mode::AcceptThenStall).expect("valid");
    simulator.set_behaviour("b", Mode::Reject { code: 400 }).expect("valid");
    let operators = build(OperatorsConfig { timeout: Duration::from_secs(1), ..two_operators(&simulator) });
    let verdict = operators.send(&submission("m"), Prior::First).await;
    assert!(matches!(verdict, Verdict::Unknown { .. }), "a may have it: {verdict:?}");
    assert_eq!(asked(&simulator), "a", "b is not asked while a may have it");

    // The patient operators of the later round: the answer is there, however slow this machine is.
    let verdict = build(two_operators(&simulator)).send(&submission("m"), Prior::Resumed).await;
    assert_eq!(accepted_by(&verdict), "a");
    assert_eq!(simulator.stats().operators["a"].accepted_keys, 1, "accepted once");
    assert!(simulator.journal()[1].duplicate);
    simulator.stop().await;
}

#[tokio::test]
async fn a_stalling_operator_is_passed_over_only_when_overdue_with_the_same_key() {
    let simulator = simulator();
    simulator.set_behaviour("a", Mode::Stall).expect("valid");
    let mut config = two_operators(&simulator);
    config.timeout = Duration::from_secs(1);
    let operators = build(config);
    for history in [Prior::First, Prior::Resumed] {
        let verdict = operators.send(&submission("m"), history).await;
        assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
    }
    assert_eq!(asked(&simulator), "aa");
    let verdict = operators.send(&submission("m"), Prior::Overdue).await;
    // On a machine that is too slow for b's answer the round is unknown too, but never failed.
    assert!(matches!(verdict, Verdict::Accepted { .. } | Verdict::Unknown { .. }), "{verdict:?}");
    let keys: Vec<_> = simulator.journal().into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["m:+4915112345"; 4]);
    assert_eq!(asked(&simulator), "aaab");
    simulator.stop().await;
}

#[tokio::test]
async fn a_closed_connection_is_unknown_and_a_retry_finds_out() {
    let simulator = simulator();
    simulator.set_behaviour("a", Mode::Reset).expect("valid");
    let one = || config(&format!("a={}", simulator.operator_url("a")));
    let verdict = build(OperatorsConfig { max_retries: 1, ..one() }).send(&submission("m1"), Prior::First).await;
    assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
    assert_eq!(asked(&simulator), "aa");

    simulator.set_behaviour("a", Mode::AcceptThenReset).expect("valid");
    let verdict = build(OperatorsConfig { max_retries: 1, ..one() }).send(&submission("m2"), Prior::First).await;
    assert_eq!(accepted_by(&verdict), "a");
    let last = simulator.journal().pop().expect("the retry");
    assert!(last.decision == Decision::Accepted && last.duplicate);
    simulator.stop().await;
}

#[tokio::test]
async fn after_a_crash_a_rejection_does_not_hide_what_another_operator_accepted() {
    let simulator = simulator();
    simulator.set_behaviour("a", Mode::Reject { code: 422 }).expect("valid");
    let operators = build(two_operators(&simulator));
    let first = operators.send(&submission("m"), Prior::First).await;
    assert!(matches!(first, Verdict::Rejected { .. }), "{first:?}");
    assert_eq!(asked(&simulator), "a", "a first round ends with the rejection");
    for history in [Prior::Resumed, Prior::Overdue] {
        assert_eq!(accepted_by(&operators.send(&submission("m"), history).await), "b");
    }
    simulator.set_behaviour("b", Mode::Reject { code: 422 }).expect("valid");
    let rejected = operators.send(&submission("other"), Prior::Resumed).await;
    assert!(matches!(rejected, Verdict::Rejected { .. }), "all have answered: {rejected:?}");
    simulator.stop().await;
}
