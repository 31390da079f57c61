//! The breaker in front of real operators.

use std::time::{Duration, Instant};

use operator_simulator::{Mode, Simulator};
use operators::{BreakerConfig, Operators, OperatorsConfig, Prior, Verdict};
use tokio::task::JoinSet;

use crate::{build, simulator, submission, two_operators};

const OPEN: Duration = Duration::from_millis(500);

fn with_breaker(simulator: &Simulator, success_threshold: u32) -> Operators {
    let breaker = BreakerConfig { failure_threshold: 3, success_threshold, open_timeout: OPEN };
    build(OperatorsConfig { breaker, ..two_operators(simulator) })
}

fn calls_of(simulator: &Simulator, operator: &str) -> usize {
    simulator.journal().iter().filter(|entry| entry.operator == operator).count()
}

async fn send(operators: &Operators, message: String) -> String {
    match operators.send(&submission(&message), Prior::First).await {
        Verdict::Accepted { operator, .. } => operator.to_string(),
        other => panic!("not accepted: {other:?}"),
    }
}

/// Makes `a` fail until its breaker is open.
async fn open_breaker_of_a(simulator: &Simulator, operators: &Operators) {
    simulator.set_behaviour("a", Mode::Status { code: 503 }).expect("valid");
    for number in 0..3 {
        assert_eq!(send(operators, format!("down{number}")).await, "b");
    }
    simulator.clear_journal();
}

#[tokio::test]
async fn an_open_breaker_spares_the_operator_and_closes_when_it_is_back() {
    let simulator = simulator();
    // Half a minute open: no probe can slip in while this test checks that there is none.
    let breaker = BreakerConfig { failure_threshold: 3, success_threshold: 1, open_timeout: Duration::from_secs(30) };
    let operators = build(OperatorsConfig { breaker, ..two_operators(&simulator) });
    open_breaker_of_a(&simulator, &operators).await;
    for number in 0..10 {
        assert_eq!(send(&operators, format!("skip{number}")).await, "b");
    }
    assert_eq!(calls_of(&simulator, "a"), 0);

    let operators = with_breaker(&simulator, 2);
    open_breaker_of_a(&simulator, &operators).await;
    simulator.set_behaviour("a", Mode::ACCEPT).expect("valid");
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut number = 0;
    while calls_of(&simulator, "a") < 10 {
        assert!(Instant::now() < deadline, "the breaker never closed");
        send(&operators, format!("back{number}")).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    simulator.stop().await;
}

#[tokio::test]
async fn probes_are_bounded_however_many_calls_come_at_once() {
    let simulator = simulator();
    let operators = with_breaker(&simulator, 2);
    open_breaker_of_a(&simulator, &operators).await;
    // Probes that last until all other calls have been decided.
    simulator.set_behaviour("a", Mode::Stall).expect("valid");
    tokio::time::sleep(OPEN).await;
    let mut calls = JoinSet::new();
    for number in 0..50 {
        let operators = operators.clone();
        calls.spawn(async move { send(&operators, format!("herd{number}")).await });
    }
    for _ in 0..48 {
        assert_eq!(calls.join_next().await.expect("a call").expect("no panic"), "b");
    }
    assert_eq!(calls_of(&simulator, "a"), 2);

    // Giving the two up frees their places.
    calls.shutdown().await;
    simulator.set_behaviour("a", Mode::ACCEPT).expect("valid");
    assert_eq!(send(&operators, "free".into()).await, "a");
    simulator.stop().await;
}

#[tokio::test]
async fn a_breaker_that_opens_in_a_later_round_never_fails_what_the_next_operator_accepted_before() {
    let simulator = simulator();
    simulator.set_behaviour("a", Mode::Status { code: 503 }).expect("valid");
    // A retry waits for a second or two, unless the breaker opens: it does with the second failure.
    let breaker = BreakerConfig { failure_threshold: 2, success_threshold: 1, open_timeout: Duration::from_mins(5) };
    let patient = OperatorsConfig { breaker, ..two_operators(&simulator) };
    let patient = OperatorsConfig { max_retries: 1, retry_backoff: Duration::from_secs(2), ..patient };
    // The worker is killed with this answer of b in its hand.
    assert_eq!(send(&with_breaker(&simulator, 1), "m".to_owned()).await, "b");
    simulator.clear_journal();

    let operators = build(patient);
    let mut later = JoinSet::new();
    let resumed = operators.clone();
    later.spawn(async move { resumed.send(&submission("m"), Prior::Resumed).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    while calls_of(&simulator, "a") == 0 {
        assert!(Instant::now() < deadline, "the later round never asked a");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(send(&operators, "opens".to_owned()).await, "b");
    match later.join_next().await.expect("a round").expect("no panic") {
        Verdict::Accepted { operator, .. } => assert_eq!(operator.as_str(), "b"),
        other => panic!("b has it and was not asked: {other:?}"),
    }
    // Where the breaker was open from the start, nobody knows what a took before: neither failed nor passed on.
    let unknown = operators.send(&submission("m2"), Prior::Resumed).await;
    assert!(matches!(unknown, Verdict::Unknown { .. }), "{unknown:?}");
    simulator.stop().await;
}
