//! How long to wait before trying again: exponential, capped, with jitter.

use std::time::Duration;

use rand::{Rng, RngExt};

/// How much of a delay is left to chance, so that many clients do not come back in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Half of the delay is fixed, the other half random: never too soon, never in step.
    Equal,
    /// The exact delay; for schedules that people read from a table.
    None,
}

/// A bounded series of delays: `base`, doubled each time up to `cap`, for at most `retries` retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySchedule {
    base: Duration,
    cap: Duration,
    retries: Option<u32>,
    jitter: Jitter,
}

impl RetrySchedule {
    /// A schedule that ends after `retries` retries.
    pub const fn limited(base: Duration, cap: Duration, retries: u32, jitter: Jitter) -> Self {
        Self { base, cap, retries: Some(retries), jitter }
    }

    /// A schedule without end, for what must come back some day (a broker, a database).
    pub const fn endless(base: Duration, cap: Duration) -> Self {
        Self { base, cap, retries: None, jitter: Jitter::Equal }
    }

    /// The wait before retry number `retry` (0 is the first), or `None` when the tries are used up.
    pub fn delay(&self, retry: u32, rng: &mut impl Rng) -> Option<Duration> {
        if self.retries.is_some_and(|most| retry >= most) {
            return None;
        }
        let full = self.base.saturating_mul(2u32.saturating_pow(retry)).min(self.cap);
        Some(match self.jitter {
            Jitter::None => full,
            Jitter::Equal => full.mul_f64(rng.random_range(0.5..=1.0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_cap_and_end() {
        let schedule = RetrySchedule::limited(SECOND, SECOND * 5, 4, Jitter::None);
        let mut rng = StdRng::seed_from_u64(1);
        let delays: Vec<_> = (0..5).map(|retry| schedule.delay(retry, &mut rng)).collect();
        assert_eq!(delays, [Some(SECOND), Some(SECOND * 2), Some(SECOND * 4), Some(SECOND * 5), None]);
    }

    #[test]
    fn endless_schedules_never_overflow() {
        let mut rng = StdRng::seed_from_u64(1);
        let delay = RetrySchedule::endless(SECOND, SECOND * 30).delay(u32::MAX, &mut rng);
        assert!(delay.is_some_and(|delay| delay >= SECOND * 15 && delay <= SECOND * 30));
    }

    proptest! {
        #[test]
        fn jitter_takes_at_most_half(base in 1u64..10_000, retry in 0u32..40, seed: u64) {
            let (base, cap) = (Duration::from_millis(base), Duration::from_mins(1));
            let mut rng = StdRng::seed_from_u64(seed);
            let full = RetrySchedule::limited(base, cap, 40, Jitter::None).delay(retry, &mut rng).expect("in range");
            let some = RetrySchedule::limited(base, cap, 40, Jitter::Equal).delay(retry, &mut rng).expect("in range");
            prop_assert!(some <= full && some >= full / 2);
        }
    }
}
