//! When each request is meant to start.

use std::time::Duration;

use crate::Load;

/// Evenly spaced starts: first those of the warm-up, then the measured ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    rps: f64,
    warmup: u64,
    total: u64,
}

impl Schedule {
    /// The starts of a load.
    pub fn of(load: &Load) -> Self {
        let count = |duration: Duration| whole(duration.as_secs_f64() * load.rps);
        let warmup = count(load.warmup);
        Self { rps: load.rps, warmup, total: warmup + count(load.duration).max(1) }
    }

    /// All requests, those of the warm-up too.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When request `index`, from 0, is meant to start, from the beginning.
    pub fn start_of(&self, index: u64) -> Duration {
        Duration::from_secs_f64(float(index) / self.rps)
    }

    /// How many requests should have started by then.
    pub fn due(&self, elapsed: Duration) -> u64 {
        (whole(elapsed.as_secs_f64() * self.rps) + 1).min(self.total)
    }

    /// Whether request `index` counts.
    pub fn is_measured(&self, index: u64) -> bool {
        index >= self.warmup
    }

    /// When the measured part begins.
    pub fn measured_from(&self) -> Duration {
        self.start_of(self.warmup)
    }

    /// When the measured part ends: one interval after the last start.
    pub fn measured_until(&self) -> Duration {
        self.start_of(self.total)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of requests, positive and small")]
fn whole(number: f64) -> u64 {
    // What is meant to be whole may be a hair below it.
    (number + 1e-6).floor() as u64
}

fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(rps: f64, warmup: u64, seconds: u64) -> Schedule {
        let (warmup, duration) = (Duration::from_secs(warmup), Duration::from_secs(seconds));
        Schedule::of(&Load { rps, duration, warmup, ..Load::default() })
    }

    #[test]
    fn requests_are_evenly_spaced_and_the_warmup_comes_first() {
        let schedule = schedule(100.0, 2, 3);
        assert_eq!(schedule.total(), 500);
        assert_eq!(schedule.start_of(0), Duration::ZERO);
        assert_eq!(schedule.start_of(250), Duration::from_millis(2_500));
        assert!(!schedule.is_measured(199) && schedule.is_measured(200));
        assert_eq!(schedule.measured_from(), Duration::from_secs(2));
        assert_eq!(schedule.measured_until(), Duration::from_secs(5));
    }

    #[test]
    fn a_slow_rate_sends_at_least_one() {
        assert_eq!(schedule(0.1, 0, 1).total(), 1);
    }

    proptest! {
        #[test]
        fn a_request_is_due_from_its_start_on_and_not_before(rps in 0.5f64..20_000.0, index in 0u64..100_000) {
            let schedule = Schedule { rps, warmup: 0, total: u64::MAX };
            let start = schedule.start_of(index);
            prop_assert!(schedule.due(start + Duration::from_nanos(100)) > index);
            let before = start.saturating_sub(Duration::from_secs_f64(0.5 / rps));
            prop_assert!(index == 0 || schedule.due(before) <= index);
        }
    }
}
