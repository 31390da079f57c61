//! `kill -9`, again and again, under traffic.

use uuid::Uuid;

use crate::{
    platform::{Platform, Setup, Standalone},
    tables::Auditor,
    traffic::Traffic,
};

/// Requests of the traffic, and after how many of them something is killed.
const REQUESTS: usize = 320;
const KILL_EVERY: usize = 25;

/// The service that the die chose; with two sides more than services, to kill several at once.
fn kill(platform: &mut Platform, die: u8) {
    match die % 5 {
        0 => platform.gateway.kill_and_restart(),
        1 => platform.relays[0].kill_and_restart(),
        2 => platform.workers[0].kill_and_restart(),
        3 => {
            platform.relays[0].kill_and_restart();
            platform.workers[0].kill_and_restart();
        }
        _ => {
            platform.gateway.kill_and_restart();
            platform.relays[0].kill_and_restart();
            platform.workers[0].kill_and_restart();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_services_killed_at_random_lose_nothing() {
    let mut platform = Setup::new().set("OPERATOR_TIMEOUT_MS", "2000").start().await;
    platform.mix_operators();
    platform.fund_traffic().await;
    let dice = Uuid::now_v7().into_bytes();
    println!("dice: {dice:?}");
    let auditor = Auditor::start(&platform.tables);
    let traffic = platform.traffic(40, REQUESTS);
    for (number, issued) in (KILL_EVERY..REQUESTS).step_by(KILL_EVERY).enumerate() {
        traffic.issued(issued).await;
        kill(&mut platform, dice[dice.len() - 1 - number % 8]);
    }
    platform.ready().await;
    platform.absorb(traffic).await;
    platform.wait_all_terminal().await;
    platform.wait_outbox_empty().await;
    auditor.finish().await;
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_killed_under_traffic_goes_on_from_its_file() {
    let mut standalone = Standalone::start().await;
    standalone.fund_traffic().await;
    let traffic = Traffic::start(&standalone.client, 40, 240);
    for issued in [60, 120, 180] {
        traffic.issued(issued).await;
        standalone.service.kill_and_restart();
    }
    standalone.service.ready().await;
    standalone.absorb(traffic).await;
    standalone.finish().await;
}
