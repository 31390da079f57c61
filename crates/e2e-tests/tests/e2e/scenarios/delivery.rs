//! Operators that work, fail, reject or are gone.

use std::time::Duration;

use operator_simulator::{Behaviour, Mode};
use test_support::{free_address, wait_until};

use super::outcomes;
use crate::{
    checker::repeated_keys,
    client::{Answer, Kind, Submission},
    platform::{Observed as _, Platform, SETTLED, Setup},
};

/// Operator A's breaker: 0 closed, 1 half-open, 2 open.
async fn breaker(platform: &Platform) -> f64 {
    assert!(platform.workers[0].has_metric("operator_breaker_state{operator=\"operatorA\"}").await);
    platform.workers[0].metric("operator_breaker_state", &["operator=\"operatorA\""]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_messages_reach_the_first_operator_once() {
    let mut platform = Setup::new().set("OPERATOR_TIMEOUT_MS", "20000").start().await;
    platform.top_up(1, 100).await;
    let normal = platform.send(1, Kind::Normal, &["+98101", "+98102", "+98103"]).await;
    let express = Submission::new(1, Kind::Express, &["+98104", "+98105"]);
    let express_id = platform.send_as(express.clone()).await;
    let replay = platform.client.send(&express).await;
    assert_eq!(replay, Answer::Accepted { id: express_id.clone(), replayed: true });
    platform.wait_all_terminal().await;

    let normal = platform.history_of(&normal).await;
    let done = |recipient| (recipient, "done", "operatorA");
    assert_eq!(outcomes(&normal), ["+98101", "+98102", "+98103"].map(done));
    assert_eq!(outcomes(&platform.history_of(&express_id).await), ["+98104", "+98105"].map(done));
    assert_eq!(platform.client.balance(1).await.balance, 100 - 3 * 2 - 2 * 5);
    assert!(repeated_keys(&platform.simulator.journal()).is_empty());
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_operator_cannot_take_goes_to_the_second() {
    let mut platform = Setup::new().start().await;
    platform.simulator.set_behaviour("operatorA", Mode::Status { code: 500 }).expect("valid");
    platform.top_up(1, 100).await;
    let message = platform.send(1, Kind::Normal, &["+98101", "+98102"]).await;
    platform.wait_all_terminal().await;
    let history = platform.history_of(&message).await;
    assert_eq!(outcomes(&history), ["+98101", "+98102"].map(|recipient| (recipient, "done", "operatorB")));
    let entries = platform.entries_of(&message);
    assert!(entries.iter().any(|entry| entry.operator == "operatorA"), "operator A was never asked: {entries:?}");
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_of_a_broken_operator_opens_and_closes_again_when_it_heals() {
    let mut platform = Setup::new().set("BREAKER_OPEN_TIMEOUT_MS", "2000").start().await;
    platform.simulator.set_behaviour("operatorA", Mode::Status { code: 503 }).expect("valid");
    platform.top_up(1, 10_000).await;
    assert!(breaker(&platform).await < 0.5, "the breaker starts closed");
    wait_until(SETTLED, "an open breaker", async || {
        platform.send(1, Kind::Express, &["+98101"]).await;
        platform.wait_all_terminal().await;
        (breaker(&platform).await > 1.5).then_some(())
    })
    .await;
    let skipped = "result=\"breaker_open\"";
    wait_until(SETTLED, "a message that skips operator A", async || {
        platform.send(1, Kind::Express, &["+98102"]).await;
        platform.wait_all_terminal().await;
        (platform.workers[0].metric("operator_calls_total", &["operator=\"operatorA\"", skipped]).await > 0.5)
            .then_some(())
    })
    .await;
    let history = platform.client.history("user_id=1").await;
    assert!(history.iter().all(|row| row.status == "done" && row.provider == "operatorB"), "{history:?}");

    platform.simulator.set_behaviour("operatorA", Mode::ACCEPT).expect("valid");
    wait_until(SETTLED, "a closed breaker", async || {
        platform.send(1, Kind::Express, &["+98103"]).await;
        platform.wait_all_terminal().await;
        (breaker(&platform).await < 0.5).then_some(())
    })
    .await;
    let healed = platform.send(1, Kind::Normal, &["+98104"]).await;
    platform.wait_all_terminal().await;
    assert_eq!(outcomes(&platform.history_of(&healed).await), [("+98104", "done", "operatorA")]);
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_rejected_recipients_are_refunded() {
    let mut platform = Setup::new().start().await;
    let rejecting = Behaviour::default().with_suffix("13", Mode::Reject { code: 422 });
    platform.simulator.set_behaviour("operatorA", rejecting).expect("valid");
    platform.top_up(1, 100).await;
    let message = platform.send(1, Kind::Express, &["+98111", "+98112", "+98113", "+98213"]).await;
    platform.wait_all_terminal().await;
    let (done, failed) = (|recipient| (recipient, "done", "operatorA"), |recipient| (recipient, "failed", "operatorA"));
    let expected = [done("+98111"), done("+98112"), failed("+98113"), failed("+98213")];
    assert_eq!(outcomes(&platform.history_of(&message).await), expected);
    assert_eq!(platform.client.balance(1).await.balance, 100 - 2 * 5);
    let entries = platform.entries_of(&message);
    assert!(entries.iter().all(|entry| entry.operator == "operatorA"), "a rejection was failed over: {entries:?}");
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_operator_takes_fails_and_is_refunded_once() {
    let nobody = format!("http://{}/", free_address());
    let mut platform = Setup::new().first_operator_at(&nobody).start().await;
    platform.simulator.set_behaviour("operatorB", Mode::Status { code: 503 }).expect("valid");
    platform.top_up(1, 100).await;
    for recipient in ["+98101", "+98102", "+98103"] {
        platform.send(1, Kind::Normal, &[recipient, "+98999"]).await;
    }
    platform.wait_all_terminal().await;
    let history = platform.client.history("user_id=1&status=failed").await;
    assert_eq!(history.len(), 6, "{history:?}");
    let account = platform.client.balance(1).await;
    let refunds: Vec<_> = account.transactions.iter().filter(|row| row.kind == "corrective").collect();
    assert_eq!((account.balance, refunds.len()), (100, 6), "{refunds:?}");

    // Nothing is tried again later: the end is the end.
    platform.simulator.set_behaviour("operatorB", Mode::ACCEPT).expect("valid");
    let after = wait_until(Duration::from_mins(1), "a message by operator B", async || {
        let message = platform.send(1, Kind::Normal, &["+98104"]).await;
        platform.wait_all_terminal().await;
        Some(platform.history_of(&message).await).filter(|rows| rows[0].status == "done")
    })
    .await;
    assert_eq!(outcomes(&after), [("+98104", "done", "operatorB")]);
    platform.finish().await;
}
