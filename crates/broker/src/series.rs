//! What this crate counts.

use std::time::Duration;

use instruments::names::{self, label};

use crate::Published;

pub(crate) fn publishes(outcomes: &[Published]) {
    for result in Published::RESULTS {
        let count = outcomes.iter().filter(|outcome| outcome.as_str() == result).count();
        if count > 0 {
            metrics::counter!(names::BROKER_PUBLISHES_TOTAL, label::RESULT => result).increment(count as u64);
        }
    }
}

pub(crate) fn confirmed_after(wait: Duration) {
    metrics::histogram!(names::BROKER_CONFIRM_DURATION_SECONDS).record(wait.as_secs_f64());
}

pub(crate) fn connected(connection: &'static str, connected: bool) {
    metrics::gauge!(names::BROKER_CONNECTED, label::CONNECTION => connection).set(f64::from(u8::from(connected)));
}

pub(crate) fn reconnected() {
    metrics::counter!(names::BROKER_RECONNECTS_TOTAL).increment(1);
}
