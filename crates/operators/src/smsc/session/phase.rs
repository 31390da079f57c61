//! How a session ends.

use std::time::Duration;

use tokio::time::Instant;

use super::Ended;
use crate::smsc::link::Broken;

/// How long an SMSC that ends the session may take to answer what it has, and we to end it in order.
const FAREWELL: Duration = Duration::from_secs(5);
/// How much of that what is owed may take before we say that we leave.
const OWED: Duration = Duration::from_secs(1);

/// Where a session is between its bind and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It works.
    Open,
    /// The SMSC has ended it, and answers what it has until then.
    SmscLeaves { until: Instant },
    /// The SMSC says that it is in no state to send: nothing more is sent, and answers that are owed are waited for until then.
    Unusable { until: Instant },
    /// We stop: nothing more is sent, and what is owed is answered until `unbind_at`. All is over by `until`.
    WeStop { unbind_at: Instant, until: Instant },
    /// We have ended it, and wait for its answer until then.
    WeLeave { until: Instant },
    /// It has answered; what is still to be written is, until then.
    Left { until: Instant },
}

impl Phase {
    pub(super) fn is_open(self) -> bool {
        self == Self::Open
    }

    /// Whether we are about to leave.
    pub(super) fn is_farewell(self) -> bool {
        matches!(self, Self::WeStop { .. } | Self::WeLeave { .. } | Self::Left { .. })
    }

    pub(super) fn we_stop(&mut self, now: Instant) {
        *self = Self::WeStop { unbind_at: now + OWED, until: now + FAREWELL };
    }

    /// The SMSC takes nothing more on it; what it has may take as long as ever to be answered.
    pub(super) fn breaks(&mut self, until: Instant) {
        if self.is_open() {
            *self = Self::Unusable { until };
        }
    }

    /// Whether the SMSC is to be told now that we leave: once nothing is owed to either side, and soon in any case.
    pub(super) fn leaves_now(&mut self, now: Instant, is_awaited: bool, all_stored: bool) -> bool {
        match *self {
            Self::WeStop { unbind_at, until } if unbind_at <= now || !is_awaited && all_stored => {
                *self = Self::WeLeave { until };
                true
            }
            Self::Unusable { until } if until <= now || !is_awaited && all_stored => {
                *self = Self::WeLeave { until: now + FAREWELL };
                true
            }
            _ => false,
        }
    }

    pub(super) fn smsc_leaves(&mut self, now: Instant) {
        if self.is_open() {
            *self = Self::SmscLeaves { until: now + FAREWELL };
        }
    }

    pub(super) fn unbound(&mut self) {
        if let Self::WeLeave { until } = *self {
            *self = Self::Left { until };
        }
    }

    pub(super) fn ends_at(self) -> Option<Instant> {
        match self {
            Self::SmscLeaves { until } | Self::Unusable { until } | Self::WeLeave { until } | Self::Left { until } => {
                Some(until)
            }
            Self::WeStop { unbind_at, .. } => Some(unbind_at),
            Self::Open => None,
        }
    }

    /// Whether nothing is left to wait for: answers that are owed, be it late, receipts that are stored, and what is still to be written.
    pub(super) fn is_over(self, now: Instant, all_answered: bool, all_stored: bool, all_written: bool) -> bool {
        match self {
            Self::Open | Self::Unusable { .. } | Self::WeStop { .. } => false,
            Self::SmscLeaves { until } => until <= now || all_answered && all_stored && all_written,
            Self::WeLeave { until } => until <= now,
            Self::Left { until } => until <= now || all_written,
        }
    }

    /// How it ended, once it is over.
    pub(super) fn end(self) -> Result<(), Ended> {
        match self {
            Self::SmscLeaves { .. } => Err(Ended::Unbound),
            Self::Open | Self::Unusable { .. } | Self::WeStop { .. } | Self::WeLeave { .. } | Self::Left { .. } => {
                Ok(())
            }
        }
    }

    /// What a step on the socket means: one that closes after a farewell has answered it (`smpp34` sometimes closes without a word).
    pub(super) fn judge(self, step: Result<(), Broken>) -> Result<(), Ended> {
        match (step, self) {
            (Ok(()), _) => Ok(()),
            (Err(_), Self::Unusable { .. } | Self::WeStop { .. } | Self::WeLeave { .. } | Self::Left { .. }) => {
                Err(Ended::Stopped)
            }
            (Err(_), Self::SmscLeaves { .. }) => Err(Ended::Unbound),
            (Err(broken), Self::Open) => Err(broken.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_its_smsc_ends_waits_for_what_is_owed() {
        let now = Instant::now();
        let mut phase = Phase::Open;
        assert!(!phase.is_over(now, true, true, true));
        phase.smsc_leaves(now);
        assert!(
            !phase.is_over(now, false, true, true)
                && !phase.is_over(now, true, false, true)
                && phase.is_over(now, true, true, true)
        );
        assert!(phase.is_over(now + Duration::from_secs(5), false, false, false));
        assert!(matches!(phase.end(), Err(Ended::Unbound)));
    }

    #[test]
    fn a_session_that_is_broken_waits_for_all_that_it_has_sent_unless_we_stop() {
        let (now, mut phase) = (Instant::now(), Phase::Open);
        let until = now + Duration::from_secs(10);
        phase.breaks(until);
        assert!(!phase.is_open() && !phase.is_farewell() && phase.ends_at() == Some(until));
        assert!(!phase.leaves_now(now + FAREWELL, true, true) && !phase.is_over(now, true, true, true));
        let mut stopped = phase;
        stopped.we_stop(now);
        assert!(stopped.leaves_now(now + OWED, true, true), "we have less time then");
        assert!(phase.leaves_now(now + OWED, false, true), "all is answered");
        assert_eq!(phase.ends_at(), Some(now + OWED + FAREWELL));
    }

    #[test]
    fn what_is_owed_holds_up_a_farewell_for_a_second() {
        let now = Instant::now();
        let mut phase = Phase::Open;
        phase.we_stop(now);
        assert_eq!(phase.ends_at(), Some(now + OWED));
        assert!(phase.leaves_now(now + OWED, true, false));
        assert_eq!(phase.ends_at(), Some(now + FAREWELL));
    }

    #[test]
    fn a_socket_that_closes_answers_our_farewell() {
        let mut phase = Phase::Open;
        assert!(matches!(phase.judge(Err(Broken::Closed)), Err(Ended::Broken(_))));
        let now = Instant::now();
        phase.we_stop(now);
        assert!(!phase.leaves_now(now, true, true) && !phase.leaves_now(now, false, false), "something is owed");
        assert!(phase.leaves_now(now, false, true) && !phase.leaves_now(now, false, true), "that is said once");
        assert!(matches!(phase.judge(Err(Broken::Closed)), Err(Ended::Stopped)));
        phase.unbound();
        assert!(phase.is_over(now, true, true, true) && !phase.is_over(now, true, true, false) && phase.end().is_ok());
    }
}
