//! A message that arrives again when everything about it is known.

use operator_simulator::{Behaviour, Mode};
use test_support::wait_until;

use crate::{
    client::Kind,
    platform::{Observed as _, SETTLED, Setup},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_message_that_arrives_again_changes_nothing() {
    let mut platform = Setup::new().start().await;
    let rejecting = Behaviour::default().with_suffix("13", Mode::Reject { code: 404 });
    platform.simulator.set_behaviour("operatorA", rejecting).expect("valid");
    platform.top_up(1, 100).await;
    platform.send(1, Kind::Normal, &["+98111", "+98113"]).await;
    platform.send(1, Kind::Express, &["+98213"]).await;
    platform.wait_all_terminal().await;
    platform.wait_outbox_empty().await;
    let handled = async || platform.workers[0].metric("worker_events_total", &["result=\"ok\""]).await;
    wait_until(SETTLED, "both messages counted", async || (handled().await > 1.5).then_some(())).await;
    let (tables, operators) = (platform.tables.snapshot().await, platform.simulator.journal());

    for round in 1..=2 {
        let again = platform.tables.execute("UPDATE outbox_events SET status = 'pending'").await;
        assert_eq!(again, 2, "both events are published again");
        let expected = 1.5 + 2.0 * f64::from(round);
        wait_until(SETTLED, "both messages handled again", async || (handled().await > expected).then_some(())).await;
        platform.wait_outbox_empty().await;
    }
    assert_eq!(platform.tables.snapshot().await, tables);
    assert_eq!(platform.simulator.journal(), operators, "operators were asked again");
    platform.finish().await;
}
