//! One customer with a huge backlog, and others who send a little.

use std::{collections::HashMap, ops::RangeInclusive};

use loadtest::{Destinations, Load, Traffic, insert_waiting};
use operator_simulator::Entry;
use test_support::wait_until;

use crate::{
    client::Kind,
    platform::{Observed as _, Platform, SETTLED, Setup},
};

/// The customer with the backlog, and how much it has.
const LARGE: i64 = 1;
const BACKLOG: u64 = 50_000;
/// The others, and what each sends.
const OTHERS: RangeInclusive<i64> = 2..=11;
const MESSAGES: usize = 10;
/// Messages that may wait in the queue of the broker.
const MAX_QUEUED: usize = 500;
/// What may overtake a new message of somebody who has nothing waiting: a full queue with what was on its way there
/// when it was measured, what the worker holds, and a turn of everybody for each message of one's own.
const FAIR: usize = MAX_QUEUED + 2 * 400 + 200 + MESSAGES * 11;

/// A backlog as a gateway leaves it; sending it would take minutes.
async fn leave_backlog(platform: &mut Platform) {
    platform.top_up(LARGE, 100_000).await;
    let names = platform.names.clone();
    let to =
        Destinations { exchange: names.exchange, express_queue: names.express_queue, normal_queue: names.normal_queue };
    let traffic = Traffic::of(&Load { users: 1, recipients: 1, express_ratio: 0.0, ..Load::default() });
    insert_waiting(platform.tables.url(), &traffic, BACKLOG, &to).await.expect("the backlog is stored");
}

/// How many messages of the large customer reached an operator between the acceptance of each other message, when the
/// journal had so many entries, and its own arrival there.
fn overtaken(journal: &[Entry], accepted: &HashMap<String, u64>) -> Vec<usize> {
    let is_large = |entry: &&Entry| !accepted.contains_key(&entry.message_id);
    let mut counts: Vec<_> = accepted
        .iter()
        .map(|(message, seen)| {
            let arrival = journal.iter().find(|entry| entry.message_id == *message).expect("it arrived");
            journal.iter().filter(is_large).filter(|entry| entry.seq > *seen && entry.seq < arrival.seq).count()
        })
        .collect();
    counts.sort_unstable();
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_backlog_does_not_hold_up_the_others() {
    let setup = Setup::new().operators(&["operatorA"]).set("BACKPRESSURE_ENABLED", "false");
    // An operator that is short of time is no part of this: what it times out on fails, and never arrives.
    let setup = setup.set("OPERATOR_TIMEOUT_MS", "60000");
    let mut platform = setup.set("RELAY_MAX_QUEUED", &MAX_QUEUED.to_string()).start().await;
    for user in OTHERS {
        platform.top_up(user, 1_000).await;
    }
    // All of it is there when the relay begins.
    let stopped = platform.relays[0].terminate().await;
    assert!(stopped.success(), "{stopped}");
    leave_backlog(&mut platform).await;
    platform.relays[0].start();
    platform.relays[0].ready().await;
    wait_until(SETTLED, "a relay that has seen a full queue", async || {
        (platform.relays[0].metric("relay_paused", &["lane=\"normal\""]).await > 0.0).then_some(())
    })
    .await;

    let mut accepted = HashMap::new();
    for _ in 0..MESSAGES {
        for user in OTHERS {
            let seen = platform.simulator.journal().last().map_or(0, |entry| entry.seq);
            accepted.insert(platform.send(user, Kind::Normal, &["+98999"]).await, seen);
        }
    }
    wait_until(SETTLED, "the messages of the others at the operator", async || {
        let journal = platform.simulator.journal();
        let arrived = journal.iter().filter(|entry| accepted.contains_key(&entry.message_id)).count();
        (arrived >= accepted.len()).then_some(())
    })
    .await;
    let counts = overtaken(&platform.simulator.journal(), &accepted);
    let at = |share: usize| counts[(counts.len() - 1) * share / 100];
    println!("overtaken by messages of the large customer: p50 {}, p99 {}, max {}", at(50), at(99), at(100));
    assert!(at(99) <= FAIR, "{counts:?}");
    let waiting = platform.tables.unpublished_events().await;
    assert!(waiting > 10_000, "there was no backlog to be held up by: only {waiting} wait");
}
