//! A relay that is killed at the two points where what it knows and what the outbox says differ.

use test_support::wait_until;

use crate::{
    checker::repeated_keys,
    client::Kind,
    platform::{Observed as _, Platform, Proxies, SETTLED, Setup},
};

/// A platform whose relay has done its work once, and with it opened all its connections.
async fn warm() -> Platform {
    let setup = Setup::new().set("OPERATOR_TIMEOUT_MS", "20000").relay_behind_proxies();
    let mut platform = setup.start().await;
    platform.top_up(1, 1_000).await;
    platform.send(1, Kind::Normal, &["+98101"]).await;
    platform.send(1, Kind::Express, &["+98102"]).await;
    platform.wait_all_terminal().await;
    platform.wait_outbox_empty().await;
    platform
}

async fn send_five(platform: &mut Platform) -> Vec<String> {
    let mut messages = Vec::new();
    for place in 0..5 {
        let kind = if place % 2 == 0 { Kind::Express } else { Kind::Normal };
        messages.push(platform.send(1, kind, &[&format!("+9820{place}"), &format!("+9830{place}")]).await);
    }
    messages
}

async fn wait_held(platform: &Platform, messages: &[String]) {
    wait_until(SETTLED, "held events", async || {
        (platform.tables.outbox_held(messages).await == messages.len()).then_some(())
    })
    .await;
}

/// Five messages, all claimed by the relay, while nothing can be published.
async fn send_five_to_be_held(platform: &mut Platform) -> Vec<String> {
    // All are there when the relay looks, for it claims what it finds and then waits for the broker.
    proxies(platform).database.freeze().await;
    let messages = send_five(platform).await;
    proxies(platform).rabbit.freeze().await;
    proxies(platform).database.heal().await;
    wait_held(platform, &messages).await;
    messages
}

/// Kills the relay and throws away what its connections still held.
async fn kill_relay(platform: &mut Platform) {
    platform.relays[0].kill();
    for proxy in [&proxies(platform).rabbit, &proxies(platform).database] {
        proxy.cut().await;
        proxy.heal().await;
    }
}

fn proxies(platform: &Platform) -> &Proxies {
    platform.proxies.as_ref().expect("the relay is behind proxies")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_claim_and_publish_it_loses_nothing() {
    let mut platform = warm().await;
    let messages = send_five_to_be_held(&mut platform).await;
    kill_relay(&mut platform).await;
    let early: Vec<_> = messages.iter().flat_map(|message| platform.entries_of(message)).collect();
    assert!(early.is_empty(), "something was published before the kill: {early:?}");

    platform.relays[0].start();
    platform.wait_all_terminal().await;
    platform.wait_outbox_empty().await;
    let operators = platform.simulator.journal();
    assert!(repeated_keys(&operators).is_empty(), "{:?}", repeated_keys(&operators));
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_confirm_and_record_it_sends_nothing_twice() {
    let mut platform = warm().await;
    // Both claims are made while nothing can be published, then published while nothing can be recorded.
    let messages = send_five_to_be_held(&mut platform).await;
    proxies(&platform).database.freeze().await;
    proxies(&platform).rabbit.heal().await;
    platform.wait_all_terminal().await;
    wait_held(&platform, &messages).await;
    let operators = platform.simulator.journal();
    let handled = platform.workers[0].metric("worker_events_total", &["result=\"ok\""]).await;

    kill_relay(&mut platform).await;
    assert_eq!(platform.tables.outbox_count(&messages, "processed").await, 0, "nothing was recorded");
    platform.relays[0].start();
    platform.wait_outbox_empty().await;
    wait_until(SETTLED, "the second copy of each message", async || {
        let now = platform.workers[0].metric("worker_events_total", &["result=\"ok\""]).await;
        (now > handled + 4.5).then_some(())
    })
    .await;
    assert_eq!(platform.simulator.journal(), operators, "a second copy reached the operators");
    platform.finish().await;
}
