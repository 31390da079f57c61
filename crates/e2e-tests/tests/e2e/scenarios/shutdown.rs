//! SIGTERM under traffic: an orderly end that loses nothing and repeats nothing.

use crate::{checker::repeated_keys, platform::Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_ends_in_order_under_traffic() {
    let mut platform = Setup::new().set("OPERATOR_TIMEOUT_MS", "15000").start().await;
    platform.fund_traffic().await;
    let traffic = platform.traffic(40, 320);
    for round in 0..2 {
        for place in 0..3 {
            traffic.issued(40 + 45 * (3 * round + place)).await;
            let service = match place {
                0 => &mut platform.workers[0],
                1 => &mut platform.relays[0],
                _ => &mut platform.gateway,
            };
            let status = service.terminate().await;
            assert!(status.success(), "service {place} ended with {status}");
            service.start();
        }
    }
    platform.ready().await;
    platform.absorb(traffic).await;
    platform.wait_all_terminal().await;
    let operators = platform.simulator.journal();
    assert!(repeated_keys(&operators).is_empty(), "sent again: {:?}", repeated_keys(&operators));
    platform.finish().await;
}
