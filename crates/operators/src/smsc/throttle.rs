//! What a session does when its SMSC asks it to slow down: all of its messages wait, and not each by itself (jookies/jasmin issue 425).

use std::time::Duration;

use tokio::time::Instant;

/// The first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Pauses of one session, each twice as long as the one before. After one a single message goes first; the others follow when the SMSC
/// has taken it.
pub(super) struct Throttle {
    /// When the last pause began and ends, and how long it is.
    pause: Option<Pause>,
    /// How long a message that goes first is waited for.
    patience: Duration,
}

struct Pause {
    began: Instant,
    until: Instant,
    length: Duration,
    /// When a message went first.
    probed_at: Option<Instant>,
}

impl Throttle {
    pub(super) fn new(patience: Duration) -> Self {
        Self { pause: None, patience }
    }

    /// The SMSC asks to slow down, for a message that was sent then. Those sent before a pause say nothing new.
    pub(super) fn throttled(&mut self, sent_at: Instant, now: Instant) {
        let length = match &self.pause {
            Some(pause) if sent_at <= pause.began => return,
            Some(pause) => (pause.length * 2).min(PAUSE.1),
            None => PAUSE.0,
        };
        self.pause = Some(Pause { began: now, until: now + length, length, probed_at: None });
    }

    /// The SMSC took or judged a message that was sent then.
    pub(super) fn answered(&mut self, sent_at: Instant) {
        if self.pause.as_ref().is_some_and(|pause| sent_at > pause.began) {
            self.pause = None;
        }
    }

    /// A message is sent.
    pub(super) fn sent(&mut self, now: Instant) {
        if let Some(pause) = &mut self.pause {
            pause.probed_at = Some(now);
        }
    }

    /// Until when nothing may be sent.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        let pause = self.pause.as_ref()?;
        let probed = pause.probed_at.map(|at| at + self.patience);
        Some(probed.unwrap_or(pause.until)).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_one_message_goes_first() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut throttle = Throttle::new(Duration::from_secs(10));
        assert_eq!(throttle.not_before(at(0)), None);
        throttle.throttled(at(0), at(100));
        assert_eq!(throttle.not_before(at(100)), Some(at(1_100)));
        throttle.throttled(at(50), at(120));
        assert_eq!(throttle.not_before(at(120)), Some(at(1_100)), "it was on its way before the pause");
        throttle.answered(at(60));
        assert_eq!(throttle.not_before(at(1_100)), None);
        throttle.sent(at(1_100));
        assert_eq!(throttle.not_before(at(1_200)), Some(at(11_100)), "the others wait for its answer");
        throttle.throttled(at(1_100), at(1_300));
        assert_eq!(throttle.not_before(at(1_300)), Some(at(3_300)));
        throttle.sent(at(3_300));
        throttle.answered(at(3_300));
        assert_eq!(throttle.not_before(at(3_400)), None);
        throttle.throttled(at(3_400), at(3_500));
        assert_eq!(throttle.not_before(at(3_500)), Some(at(4_500)), "they begin anew");
    }

    #[test]
    fn no_pause_is_longer_than_half_a_minute() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Duration::from_secs(10));
        let mut now = start;
        for _ in 0..10 {
            throttle.throttled(now, now + Duration::from_millis(1));
            now = throttle.not_before(now + Duration::from_millis(1)).expect("a pause");
            throttle.sent(now);
        }
        throttle.throttled(now, now);
        assert_eq!(throttle.not_before(now), Some(now + Duration::from_secs(30)));
    }
}
