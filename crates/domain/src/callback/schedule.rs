//! When a callback is tried again, and when an endpoint is let alone.

use std::time::Duration;

use rand::{Rng, RngExt};

/// The waits before the second and later attempts.
const STEPS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];

/// Attempts that an event has.
pub const MAX_ATTEMPTS: u32 = 8;

/// After so many failures in a row an endpoint is paused.
pub const FAILURES_TO_PAUSE: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// An endpoint that took nothing for so long is disabled.
pub const FAILING_TO_DISABLE: Duration = Duration::from_hours(5 * 24);

/// The wait after the attempt with this number (the first is 1), a fifth more or less; `None` after the last one. What the endpoint
/// itself asked for counts between the wait and twice as much.
pub fn wait_after(attempts: u32, asked_for: Option<Duration>, rng: &mut impl Rng) -> Option<Duration> {
    let step = *STEPS.get(usize::try_from(attempts.saturating_sub(1)).ok()?)?;
    Some(match asked_for {
        Some(asked_for) => asked_for.clamp(step, step * 2),
        None => step.mul_f64(rng.random_range(0.8..=1.2)),
    })
}

/// How long an endpoint is let alone after so many failures in a row.
pub fn pause_after(failures: u32) -> Option<Duration> {
    let beyond = failures.checked_sub(FAILURES_TO_PAUSE)?;
    Some(FIRST_PAUSE.saturating_mul(2u32.saturating_pow(beyond)).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn an_event_is_tried_eight_times_in_more_than_a_day() {
        let mut rng = StdRng::seed_from_u64(1);
        for (attempts, step) in (1..).zip(STEPS) {
            let wait = wait_after(attempts, None, &mut rng).expect("another attempt");
            assert!(wait >= step.mul_f64(0.8) && wait <= step.mul_f64(1.2), "{wait:?} for {step:?}");
        }
        assert_eq!(MAX_ATTEMPTS as usize, STEPS.len() + 1);
        assert_eq!(wait_after(MAX_ATTEMPTS, None, &mut rng), None);
        assert_eq!(wait_after(u32::MAX, None, &mut rng), None);
        assert!(STEPS.iter().sum::<Duration>() > Duration::from_hours(27));
    }

    #[test]
    fn what_an_endpoint_asks_for_counts_within_bounds() {
        let mut rng = StdRng::seed_from_u64(1);
        for (asked_for, wait) in [(0, 300), (300, 300), (400, 400), (600, 600), (86_400, 600)] {
            let asked_for = Some(Duration::from_secs(asked_for));
            assert_eq!(wait_after(2, asked_for, &mut rng), Some(Duration::from_secs(wait)));
        }
    }

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        let seconds = |failures| pause_after(failures).map(|pause| pause.as_secs());
        assert_eq!([4, 5, 6, 7, 8, 9].map(seconds), [None, Some(30), Some(60), Some(120), Some(240), Some(480)]);
        assert_eq!([10, u32::MAX].map(seconds), [Some(600), Some(600)]);
    }
}
