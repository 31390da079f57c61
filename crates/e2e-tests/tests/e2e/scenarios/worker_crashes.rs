//! A worker that is killed after an operator was asked and before the message is acknowledged.

use std::time::Duration;

use operator_simulator::{Behaviour, Decision, Mode, Rule};
use test_support::wait_until;

use super::outcomes;
use crate::{
    client::Kind,
    platform::{SETTLED, Setup},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_outcome_is_known_its_messages_are_asked_again_under_the_same_keys() {
    let setup = Setup::new().operators(&["operatorA"]).set("OPERATOR_TIMEOUT_MS", "3000");
    let mut platform = setup.set("OPERATOR_MAX_RETRIES", "0").start().await;
    // Taken and answered too late; taken and never answered; never taken.
    let slow = Behaviour::from(Mode::Accept { delay: Duration::from_mins(1) })
        .with_recipient("+98102", Mode::AcceptThenStall)
        .with_recipient("+98103", Rule { mode: Mode::Stall, times: Some(1) });
    platform.simulator.set_behaviour("operatorA", slow).expect("valid");
    platform.top_up(1, 100).await;
    let recipients = ["+98101", "+98102", "+98103"];
    let message = platform.send(1, Kind::Express, &recipients).await;
    wait_until(SETTLED, "all three at the operator", async || {
        (platform.entries_of(&message).len() == recipients.len()).then_some(())
    })
    .await;
    platform.workers[0].kill_and_restart();
    let rows = platform.history_of(&message).await;
    assert!(rows.iter().all(|row| row.status == "sending"), "the kill came too late: {rows:?}");

    platform.wait_all_terminal().await;
    assert_eq!(outcomes(&platform.history_of(&message).await), recipients.map(|it| (it, "done", "operatorA")));
    for (recipient, first, recognised) in [
        ("+98101", Decision::Accepted, true),
        ("+98102", Decision::Accepted, true),
        ("+98103", Decision::Stalled, false),
    ] {
        let entries = platform.entries_of(&message).into_iter().filter(|entry| entry.recipient == recipient);
        let seen: Vec<_> = entries.map(|entry| (entry.decision, entry.duplicate)).collect();
        assert!(seen.starts_with(&[(first, false), (Decision::Accepted, recognised)]), "{recipient}: {seen:?}");
    }
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_worker_takes_over_what_a_killed_one_held() {
    let setup = Setup::new().operators(&["operatorA"]).set("OPERATOR_TIMEOUT_MS", "3000");
    let mut platform = setup.set("OPERATOR_MAX_RETRIES", "0").replicas(2).start().await;
    platform.simulator.set_behaviour("operatorA", Mode::AcceptThenStall).expect("valid");
    platform.top_up(1, 100).await;
    // The broker deals them out in turn, so that either worker holds some.
    for place in 0..6 {
        platform.send(1, Kind::Normal, &[&format!("+9810{place}")]).await;
    }
    let asked = || platform.simulator.journal().len();
    wait_until(SETTLED, "all at the operator", async || (asked() == 6).then_some(())).await;
    platform.workers[0].kill();
    platform.wait_all_terminal().await;
    platform.finish().await;
}
