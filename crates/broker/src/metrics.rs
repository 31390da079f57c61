//! The names of this crate's metrics, in one place.

use std::time::Duration;

use crate::Published;

pub(crate) fn publishes(outcomes: &[Published]) {
    for result in Published::RESULTS {
        let count = outcomes.iter().filter(|outcome| outcome.as_str() == result).count();
        if count > 0 {
            metrics::counter!("broker_publishes_total", "result" => result).increment(count as u64);
        }
    }
}

pub(crate) fn confirmed_after(wait: Duration) {
    metrics::histogram!("broker_confirm_duration_seconds").record(wait.as_secs_f64());
}

pub(crate) fn connected(connection: &'static str, connected: bool) {
    metrics::gauge!("broker_connected", "connection" => connection).set(f64::from(u8::from(connected)));
}

pub(crate) fn reconnected() {
    metrics::counter!("broker_reconnects_total").increment(1);
}
