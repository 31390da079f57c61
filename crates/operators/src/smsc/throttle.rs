//! What a session does when its SMSC asks it to slow down: all of its messages wait, and not each by itself (jookies/jasmin issue 425).

use std::time::Duration;

use tokio::time::Instant;

/// The first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Pauses of one session, each twice as long as the one before. After one a single message goes first; when the SMSC has taken it the others
/// follow, two for each that it takes, until it either asks again or has taken a window of them: all at once they would mostly be refused.
pub(super) struct Throttle {
    /// When the last pause began and ends, and how long it is.
    pause: Option<Pause>,
    /// After one, what may follow.
    start: Option<Start>,
    /// When the last pause began, be it over.
    last_began: Option<Instant>,
    /// How long an answer is waited for before another message goes.
    patience: Duration,
    /// How long a message waits for the session.
    wait: Duration,
    window: u16,
}

/// Whether a session goes slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slowness {
    None,
    /// Few may go.
    Throttled,
    /// None may for as long as a message would wait.
    Paused,
}

struct Pause {
    began: Instant,
    until: Instant,
    length: Duration,
    /// When a message went first.
    probed_at: Option<Instant>,
}

struct Start {
    began: Instant,
    /// So many may go at once.
    may_follow: u16,
    /// When the last one went.
    sent_at: Instant,
}

impl Throttle {
    pub(super) fn new(patience: Duration, wait: Duration, window: u16) -> Self {
        Self { pause: None, start: None, last_began: None, patience, wait, window }
    }

    /// The SMSC asks to slow down, for a message that was sent then. Those sent before a pause say nothing new.
    pub(super) fn throttled(&mut self, sent_at: Instant, now: Instant) {
        if self.last_began.is_some_and(|began| sent_at <= began) {
            return;
        }
        let length = match &self.pause {
            Some(pause) => (pause.length * 2).min(PAUSE.1),
            None => PAUSE.0,
        };
        (self.start, self.last_began) = (None, Some(now));
        self.pause = Some(Pause { began: now, until: now + length, length, probed_at: None });
    }

    /// The SMSC took or judged a message that was sent then.
    pub(super) fn answered(&mut self, sent_at: Instant, now: Instant) {
        if self.pause.as_ref().is_some_and(|pause| sent_at > pause.began) {
            self.pause = None;
            self.start = Some(Start { began: sent_at, may_follow: 0, sent_at: now });
        }
        if let Some(start) = self.start.as_mut().filter(|start| sent_at >= start.began) {
            start.may_follow = start.may_follow.saturating_add(2);
        }
        self.start = self.start.take().filter(|start| start.may_follow < self.window);
    }

    /// A message is sent.
    pub(super) fn sent(&mut self, now: Instant) {
        if let Some(pause) = &mut self.pause {
            pause.probed_at = Some(now);
        }
        if let Some(start) = &mut self.start {
            start.may_follow = start.may_follow.saturating_sub(1);
            start.sent_at = now;
        }
    }

    /// Whether nothing may be sent because the SMSC has asked to slow down. It ends by itself, be there nothing more to send.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.pause.is_some() && self.not_before(now).is_some()
    }

    /// How it goes since the SMSC asked to slow down.
    pub(super) fn at(&self, now: Instant) -> Slowness {
        match &self.pause {
            None if self.start.is_some() => Slowness::Throttled,
            None => Slowness::None,
            Some(pause) if pause.probed_at.is_none() && pause.until > now + self.wait => Slowness::Paused,
            Some(_) => Slowness::Throttled,
        }
    }

    /// When it goes otherwise by itself.
    pub(super) fn changes_at(&self, now: Instant) -> Option<Instant> {
        let pause = self.pause.as_ref().filter(|pause| pause.probed_at.is_none())?;
        pause.until.checked_sub(self.wait).filter(|at| *at > now)
    }

    /// Until when nothing may be sent.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        let until = match (&self.pause, &self.start) {
            (Some(pause), _) => pause.probed_at.map_or(pause.until, |at| at + self.patience),
            (None, Some(Start { may_follow: 0, sent_at, .. })) => *sent_at + self.patience,
            (None, _) => return None,
        };
        Some(until).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_one_message_goes_first() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut throttle = Throttle::new(Duration::from_secs(10), Duration::from_millis(600), 10);
        assert_eq!(throttle.not_before(at(0)), None);
        throttle.throttled(at(0), at(100));
        assert_eq!(throttle.not_before(at(100)), Some(at(1_100)));
        throttle.throttled(at(50), at(120));
        assert_eq!(throttle.not_before(at(120)), Some(at(1_100)), "it was on its way before the pause");
        throttle.answered(at(60), at(130));
        assert_eq!(throttle.not_before(at(1_100)), None);
        throttle.sent(at(1_100));
        assert_eq!(throttle.not_before(at(1_200)), Some(at(11_100)), "the others wait for its answer");
        throttle.throttled(at(1_100), at(1_300));
        assert_eq!(throttle.not_before(at(1_300)), Some(at(3_300)));
        throttle.sent(at(3_300));
        throttle.answered(at(3_300), at(3_400));
        assert_eq!(throttle.not_before(at(3_400)), None);
        throttle.throttled(at(3_400), at(3_500));
        assert_eq!(throttle.not_before(at(3_500)), Some(at(4_500)), "they begin anew");
    }

    #[test]
    fn after_a_pause_two_follow_each_that_is_taken() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut throttle = Throttle::new(Duration::from_secs(10), Duration::from_millis(600), 10);
        throttle.throttled(at(0), at(0));
        assert_eq!(throttle.changes_at(at(0)), Some(at(400)));
        assert_eq!([399, 400].map(|now| throttle.at(at(now))), [Slowness::Paused, Slowness::Throttled]);
        throttle.sent(at(1_000));
        throttle.answered(at(0), at(1_005));
        assert_eq!(throttle.at(at(1_005)), Slowness::Throttled, "that one was sent before");
        throttle.answered(at(1_000), at(1_010));
        assert_eq!((throttle.at(at(1_010)), throttle.is_paused(at(1_010))), (Slowness::Throttled, false));
        // How many go at once after each answer.
        let follow = |throttle: &mut Throttle, now| {
            let sent = std::iter::from_fn(|| throttle.not_before(now).is_none().then(|| throttle.sent(now)));
            sent.take(100).count()
        };
        assert_eq!(follow(&mut throttle, at(1_010)), 2);
        throttle.answered(at(1_010), at(1_020));
        throttle.answered(at(1_010), at(1_020));
        assert_eq!(follow(&mut throttle, at(1_020)), 4);
        assert_eq!(throttle.not_before(at(1_020)), Some(at(11_020)), "no answer comes");
        assert_eq!(follow(&mut throttle, at(11_020)), 1);
        for _ in 0..5 {
            throttle.answered(at(1_020), at(11_030));
        }
        assert_eq!(follow(&mut throttle, at(11_030)), 100, "it takes what comes");
        assert_eq!(throttle.at(at(11_030)), Slowness::None);
        throttle.throttled(at(0), at(11_040));
        assert_eq!(throttle.at(at(11_040)), Slowness::None, "that is of before the pause");
    }

    #[test]
    fn a_pause_is_over_where_nothing_more_is_sent() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut throttle = Throttle::new(Duration::from_secs(10), Duration::from_millis(600), 10);
        throttle.throttled(at(0), at(0));
        assert_eq!([999, 1_000].map(|now| throttle.is_paused(at(now))), [true, false]);
        throttle.sent(at(2_000));
        assert_eq!([2_000, 11_999, 12_000].map(|now| throttle.is_paused(at(now))), [true, true, false]);
        throttle.throttled(at(2_000), at(12_500));
        assert_eq!([14_499, 14_500].map(|now| throttle.is_paused(at(now))), [true, false], "twice as long");
    }

    #[test]
    fn no_pause_is_longer_than_half_a_minute() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Duration::from_secs(10), Duration::from_millis(600), 10);
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
