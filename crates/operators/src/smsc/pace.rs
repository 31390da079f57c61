//! No more than so many segments a second.

use std::time::Duration;

use tokio::time::Instant;

/// What is between two segments over what a second's share would be: 2 %, so that no second by the SMSC's clock sees one too many
/// because one was on its way for longer than another.
const SLACK: f64 = 1.02;
/// What may be caught up with: timers come late.
const CATCH_UP: Duration = Duration::from_millis(5);

/// The pace of one operator's sessions together.
pub(super) struct Pace {
    /// Between two segments; zero without a limit.
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// `tps` segments a second; 0 is without a limit.
    pub(super) fn new(tps: u32) -> Self {
        let interval = if tps == 0 { Duration::ZERO } else { Duration::from_secs_f64(SLACK / f64::from(tps)) };
        Self { interval, next: None }
    }

    /// When the next one may be sent, if not at `now`.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| *next > now)
    }

    /// One is sent at `now`.
    pub(super) fn sent(&mut self, now: Instant) {
        if self.interval.is_zero() {
            return;
        }
        let due = self.next.map_or(now, |next| next.max(now.checked_sub(CATCH_UP).unwrap_or(now)));
        self.next = Some(due + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_its_share() {
        for tps in [1, 3, 10, 100, 500, 2_000] {
            let (mut pace, start) = (Pace::new(tps), Instant::now());
            // A session that looks every 3 ms and sends all it may.
            let mut sent = Vec::new();
            for tick in 0..2_000u64 {
                let now = start + Duration::from_millis(3 * tick);
                while pace.not_before(now).is_none() {
                    pace.sent(now);
                    sent.push(now);
                }
            }
            let most = sent.iter().enumerate().map(|(place, from)| {
                sent[place..].iter().take_while(|time| **time < *from + Duration::from_secs(1)).count()
            });
            let (most, all) = (most.max().unwrap_or(0), sent.len());
            assert!(most <= tps as usize, "{most} in a second of {tps}");
            assert!(all as f64 > 6.0 * f64::from(tps) * 0.95, "{all} in six seconds of {tps}");
        }
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let (mut pace, now) = (Pace::new(0), Instant::now());
        pace.sent(now);
        assert_eq!(pace.not_before(now), None);
    }
}
