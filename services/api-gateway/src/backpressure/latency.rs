//! Whether most of what was done within the last second took long.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Parts of a second, each forgotten as a whole.
const SLOTS: usize = 4;
/// With fewer requests within the second nothing is said: one that stood still is no overload.
const LEAST: u64 = 20;

/// Counts requests, and how many of them took longer than the threshold. Clones share the counts.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    /// `None`: nothing is ever slow.
    threshold: Option<Duration>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    slots: [Slot; SLOTS],
    current: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    all: u64,
    slow: u64,
}

impl Latency {
    pub(crate) fn new(threshold: Option<Duration>) -> Self {
        Self { threshold, counts: Arc::default() }
    }

    /// `requests` took this long.
    pub(crate) fn record(&self, requests: u64, took: Duration) {
        let Some(threshold) = self.threshold else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let current = counts.current;
        let slot = &mut counts.slots[current];
        slot.all += requests;
        slot.slow += if took > threshold { requests } else { 0 };
    }

    /// A quarter of a second has passed: forgets the oldest one and says whether most requests of the last four took
    /// long.
    pub(crate) fn rotate(&self) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = counts.slots.iter().map(|slot| slot.all).sum();
        let slow: u64 = counts.slots.iter().map(|slot| slot.slow).sum();
        counts.current = (counts.current + 1) % SLOTS;
        let next = counts.current;
        counts.slots[next] = Slot::default();
        all >= LEAST && 2 * slow > all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLD: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_millis(101);

    #[test]
    fn most_requests_decide_and_a_second_forgets_them() {
        let latency = Latency::new(Some(THRESHOLD));
        latency.record(20, THRESHOLD);
        assert!(!latency.rotate());
        latency.record(20, LONG);
        assert!(!latency.rotate(), "half is not most");
        latency.record(1, LONG);
        assert!(latency.rotate());
        let rest: Vec<bool> = (0..4).map(|_| latency.rotate()).collect();
        assert_eq!(rest, [true, true, false, false], "the fast ones are forgotten, then the slow ones");
    }

    #[test]
    fn few_requests_and_no_threshold_say_nothing() {
        let latency = Latency::new(Some(THRESHOLD));
        latency.record(19, LONG);
        assert!(!latency.rotate());
        let off = Latency::new(None);
        off.record(1_000, Duration::from_hours(1));
        assert!(!off.rotate());
    }
}
