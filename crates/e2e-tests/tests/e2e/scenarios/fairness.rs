//! One customer with a huge backlog, and others who send a little.

use std::collections::HashMap;

use operator_simulator::Entry;
use test_support::wait_until;

use crate::{
    client::Kind,
    platform::{Observed as _, Platform, SETTLED, Setup},
};

/// The customer with the backlog, and how much it has.
const LARGE: i64 = 1_000;
const BACKLOG: usize = 50_000;
/// The others, and what each sends.
const OTHERS: i64 = 10;
const MESSAGES: usize = 10;
/// Messages that may wait in the queue of the broker.
const MAX_QUEUED: usize = 500;
/// What may overtake a new message of somebody who has nothing waiting: a full queue with what was on its way there
/// when it was measured, what the worker holds, and a turn of everybody for each message of one's own.
const FAIR: usize = MAX_QUEUED + 2 * 400 + 200 + MESSAGES * 11;

/// A backlog as a gateway leaves it: charged, stored, in the order of its turns. Inserted by hand, as sending it would
/// take minutes.
async fn leave_backlog(platform: &Platform) {
    let charge = "('large-charge', 1000, -100000, 'withdrawal', 'message')";
    let deposit = "('large-deposit', 1000, 100000, 'deposit', 'top-up')";
    let tables = &platform.tables;
    tables.execute(&format!("INSERT INTO user_balances (user_id, balance) VALUES ({LARGE}, 0)")).await;
    let columns = "transaction_id, user_id, amount, transaction_type, description";
    tables.execute(&format!("INSERT INTO user_transactions ({columns}) VALUES {deposit}, {charge}")).await;
    let (exchange, queue) = (&platform.names.exchange, &platform.names.normal_queue);
    for thousand in 0..BACKLOG / 1_000 {
        let numbers = || (0..1_000).map(move |number| thousand * 1_000 + number);
        let messages: Vec<_> = numbers()
            .map(|number| {
                format!("({LARGE}, 'pending', 'normal', '+98{number:06}', 'large-{number}', 2, 'large-charge')")
            })
            .collect();
        let columns = "user_id, status, type, recipient, message_identifier, price, transaction_id";
        tables.execute(&format!("INSERT INTO message_status ({columns}) VALUES {}", messages.join(","))).await;
        let events: Vec<_> = numbers()
            .map(|number| {
                let message = format!(
                    r#"{{"customer_id":{LARGE},"text":"hi","recipients":["+98{number:06}"],"type":"normal","transaction_id":"large-charge","message_identifier":"large-{number}"}}"#
                );
                let payload = format!(
                    r#"{{"exchange":"{exchange}","routing_key":"{queue}","message":{message},"transaction_id":"large-charge"}}"#
                );
                format!("('message', 'large-{number}', 'message.send', '{payload}', 0, 'pending', {LARGE}, {})", number + 1)
            })
            .collect();
        let columns = "aggregate_type, aggregate_id, event_type, payload, priority, status, user_id, turn";
        tables.execute(&format!("INSERT INTO outbox_events ({columns}) VALUES {}", events.join(","))).await;
    }
}

/// How many messages of the large customer reached an operator between the acceptance of each other message, when the
/// journal had so many entries, and its own arrival there.
fn overtaken(journal: &[Entry], accepted: &HashMap<String, u64>) -> Vec<usize> {
    let is_large = |entry: &&Entry| entry.message_id.starts_with("large-");
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
    let mut platform = setup.set("RELAY_MAX_QUEUED", &MAX_QUEUED.to_string()).start().await;
    for user in 1..=OTHERS {
        platform.top_up(user, 1_000).await;
    }
    leave_backlog(&platform).await;
    wait_until(SETTLED, "a relay that has seen a full queue", async || {
        (platform.relays[0].metric("relay_paused", &["lane=\"normal\""]).await > 0.0).then_some(())
    })
    .await;

    let mut accepted = HashMap::new();
    for _ in 0..MESSAGES {
        for user in 1..=OTHERS {
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
