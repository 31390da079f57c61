//! Several of each process at once share the work and never do it twice.

use crate::{
    checker::repeated_keys,
    platform::{Observed as _, Setup},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_and_two_workers_send_each_message_once() {
    let mut platform = Setup::new().set("OPERATOR_TIMEOUT_MS", "20000").replicas(2).start().await;
    platform.fund_traffic().await;
    let traffic = platform.traffic(60, 300);
    platform.absorb(traffic).await;
    platform.wait_all_terminal().await;
    platform.wait_outbox_empty().await;
    for relay in &platform.relays {
        assert!(relay.metric("broker_publishes_total", &["result=\"confirmed\""]).await > 0.5, "a relay was idle");
    }
    for worker in &platform.workers {
        assert!(worker.metric("worker_events_total", &["result=\"ok\""]).await > 0.5, "a worker was idle");
    }
    let operators = platform.simulator.journal();
    assert!(repeated_keys(&operators).is_empty(), "sent twice: {:?}", repeated_keys(&operators));
    platform.finish().await;
}
