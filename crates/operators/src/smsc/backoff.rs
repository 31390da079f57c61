//! How long a session waits before it is made anew.

use std::time::Duration;

use domain::RetrySchedule;
use rand::{Rng, RngExt as _};

/// After a connection was lost or could not be made.
const TRANSPORT: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_secs(30));
/// After a bind was refused: SMSCs shut out who asks again soon (kneodev/ksmppd issue 38: for 290 s).
const REFUSED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(5));
/// After the SMSC ended a session in order.
const UNBOUND: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// What happened before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// A connection was lost or could not be made, or the SMSC could not give a session just now.
    Failure,
    /// A session was refused for who asks, or for how many there are.
    Refusal,
    /// The SMSC ended a session in order.
    Unbind,
}

/// Pauses of one session, which grow as long as nothing comes of it.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    refusals: u32,
}

impl Backoff {
    /// A session worked: the next pauses are short again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The next pause.
    pub(super) fn pause(&mut self, after: After, random: &mut impl Rng) -> Duration {
        match after {
            After::Failure => {
                self.failures = self.failures.saturating_add(1);
                TRANSPORT.delay(self.failures - 1, random).unwrap_or(UNBOUND.1)
            }
            After::Refusal => {
                self.refusals = self.refusals.saturating_add(1);
                let most = REFUSED.0.saturating_mul(2u32.saturating_pow(self.refusals)).min(REFUSED.1);
                random.random_range(REFUSED.0..=most)
            }
            After::Unbind => random.random_range(UNBOUND.0..=UNBOUND.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds() {
        let mut random = StdRng::seed_from_u64(1);
        let (mut backoff, mut longest) = (Backoff::default(), Duration::ZERO);
        for _ in 0..50 {
            let failure = backoff.pause(After::Failure, &mut random);
            assert!(failure <= Duration::from_secs(30), "{failure:?}");
            let refusal = backoff.pause(After::Refusal, &mut random);
            assert!(refusal >= REFUSED.0 && refusal <= REFUSED.1, "{refusal:?}");
            longest = longest.max(refusal);
            let unbind = backoff.pause(After::Unbind, &mut random);
            assert!(unbind >= UNBOUND.0 && unbind <= UNBOUND.1, "{unbind:?}");
        }
        assert!(longest > Duration::from_mins(2), "they grow");
        backoff.reset();
        assert!(backoff.pause(After::Refusal, &mut random) <= Duration::from_mins(1));
        assert!(backoff.pause(After::Failure, &mut random) <= Duration::from_secs(1));
    }
}
