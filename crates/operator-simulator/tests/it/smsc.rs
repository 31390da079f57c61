//! SMSCs over real connections.

mod answers;
pub(crate) mod esme;
mod http;
mod limits;
mod receipts;
mod sessions;
mod tls;

use std::time::{Duration, Instant};

use operator_simulator::{Smsc, SmscBehaviour, SmscEvent, SmscOptions, SmscStats, SmscSubmit};

use crate::ANY;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// An SMSC that behaves so.
fn start(behaviour: impl Into<SmscBehaviour>) -> Smsc {
    let smsc = Smsc::start(ANY, SmscOptions::default()).expect("a free port");
    smsc.set_behaviour(behaviour).expect("valid");
    smsc
}

/// The messages in the journal.
fn submits(smsc: &Smsc) -> Vec<SmscSubmit> {
    let entries = smsc.journal().into_iter().filter_map(|entry| match entry.what {
        SmscEvent::SubmitSm(submit) => Some(*submit),
        _ => None,
    });
    entries.collect()
}

/// The journal's entries without numbers and times.
fn events(smsc: &Smsc) -> Vec<SmscEvent> {
    smsc.journal().into_iter().map(|entry| entry.what).collect()
}

/// Waits until something is so.
async fn wait_until(what: impl Fn() -> bool, or: impl Fn() -> String) {
    let deadline = Instant::now() + DEADLINE;
    while !what() {
        assert!(Instant::now() < deadline, "{}", or());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the counts are as they should be.
async fn wait_for_stats(smsc: &Smsc, are_so: impl Fn(&SmscStats) -> bool) {
    wait_until(|| are_so(&smsc.stats()), || format!("{:?}", smsc.stats())).await;
}
