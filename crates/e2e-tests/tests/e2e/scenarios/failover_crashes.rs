//! A worker that is killed while messages are passed on from an operator that fails to one that accepts.

use std::time::Duration;

use operator_simulator::{Decision, Mode};
use test_support::wait_until;

use super::outcomes;
use crate::{
    client::Kind,
    platform::{SETTLED, Setup},
    tables::Auditor,
};

/// More than opens a breaker: in the later round it opens while retries wait.
const RECIPIENTS: usize = 12;
const REQUESTS: usize = 240;
const KILL_EVERY: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_next_operator_took_before_the_kill_is_never_failed() {
    let setup = Setup::new().set("OPERATOR_TIMEOUT_MS", "2000").set("OPERATOR_RETRY_BACKOFF_MS", "1000");
    let mut platform = setup.set("BREAKER_OPEN_TIMEOUT_MS", "3000").start().await;
    platform.simulator.set_behaviour("operatorA", Mode::Status { code: 503 }).expect("valid");
    platform.simulator.set_behaviour("operatorB", Mode::Accept { delay: Duration::from_mins(1) }).expect("valid");
    platform.top_up(1, 1_000).await;
    let recipients: Vec<_> = (0..RECIPIENTS).map(|number| format!("+98{number:03}")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    let message = platform.send(1, Kind::Express, &recipients).await;
    let taken = || platform.entries_of(&message).iter().filter(|entry| entry.decision == Decision::Accepted).count();
    wait_until(SETTLED, "all taken by the second operator", async || (taken() == RECIPIENTS).then_some(())).await;
    platform.workers[0].kill_and_restart();
    platform.simulator.set_behaviour("operatorB", Mode::ACCEPT).expect("valid");
    platform.wait_all_terminal().await;
    let done: Vec<_> = recipients.iter().map(|recipient| (*recipient, "done", "operatorB")).collect();
    assert_eq!(outcomes(&platform.history_of(&message).await), done);
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_random_while_messages_fail_over_refund_nothing() {
    let mut platform = Setup::new().set("OPERATOR_TIMEOUT_MS", "2000").replicas(2).start().await;
    platform.simulator.set_behaviour("operatorA", Mode::Status { code: 503 }).expect("valid");
    platform.simulator.set_behaviour("operatorB", Mode::Accept { delay: Duration::from_millis(300) }).expect("valid");
    platform.fund_traffic().await;
    let auditor = Auditor::start(&platform.tables);
    let traffic = platform.traffic(60, REQUESTS);
    for (number, issued) in (KILL_EVERY..REQUESTS).step_by(KILL_EVERY).enumerate() {
        traffic.issued(issued).await;
        platform.workers[number % 2].kill_and_restart();
    }
    platform.ready().await;
    platform.absorb(traffic).await;
    platform.wait_all_terminal().await;
    auditor.finish().await;
    let failed = platform.client.history("status=failed").await;
    assert!(failed.is_empty(), "the second operator takes everything: {failed:?}");
    platform.finish().await;
}
