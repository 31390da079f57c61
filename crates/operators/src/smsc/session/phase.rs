//! How a session ends.

use tokio::time::Instant;

use super::Ended;
use crate::smsc::link::Broken;

/// Where a session is between its bind and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It works.
    Open,
    /// The SMSC has ended it, and answers what it has until then.
    SmscLeaves { until: Instant },
    /// We have ended it, and wait for its answer until then.
    WeLeave { until: Instant },
    /// It has answered.
    Left,
}

impl Phase {
    pub(super) fn is_open(self) -> bool {
        self == Self::Open
    }

    /// Whether we are about to leave, whoever began.
    pub(super) fn is_farewell(self) -> bool {
        matches!(self, Self::WeLeave { .. } | Self::Left)
    }

    pub(super) fn smsc_leaves(&mut self, until: Instant) {
        if self.is_open() {
            *self = Self::SmscLeaves { until };
        }
    }

    pub(super) fn we_leave(&mut self, until: Instant) {
        *self = Self::WeLeave { until };
    }

    pub(super) fn unbound(&mut self) {
        if self.is_farewell() {
            *self = Self::Left;
        }
    }

    pub(super) fn ends_at(self) -> Option<Instant> {
        match self {
            Self::SmscLeaves { until } | Self::WeLeave { until } => Some(until),
            Self::Open | Self::Left => None,
        }
    }

    /// Whether nothing is left to wait for.
    pub(super) fn is_over(self, now: Instant, is_awaited: bool, all_stored: bool) -> bool {
        match self {
            Self::Open => false,
            Self::SmscLeaves { until } => until <= now || !is_awaited && all_stored,
            Self::WeLeave { until } => until <= now,
            Self::Left => true,
        }
    }

    /// How it ended, once it is over.
    pub(super) fn end(self) -> Result<(), Ended> {
        match self {
            Self::SmscLeaves { .. } => Err(Ended::Unbound),
            Self::Open | Self::WeLeave { .. } | Self::Left => Ok(()),
        }
    }

    /// What a step on the socket means: one that closes after a farewell has answered it (`smpp34` sometimes closes without a word).
    pub(super) fn judge(self, step: Result<(), Broken>) -> Result<(), Ended> {
        match (step, self) {
            (Ok(()), _) => Ok(()),
            (Err(_), Self::WeLeave { .. } | Self::Left) => Err(Ended::Stopped),
            (Err(_), Self::SmscLeaves { .. }) => Err(Ended::Unbound),
            (Err(broken), Self::Open) => Err(broken.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_that_its_smsc_ends_waits_for_what_is_owed() {
        let now = Instant::now();
        let mut phase = Phase::Open;
        assert!(!phase.is_over(now, false, true));
        phase.smsc_leaves(now + Duration::from_secs(5));
        assert!(
            !phase.is_over(now, true, true) && !phase.is_over(now, false, false) && phase.is_over(now, false, true)
        );
        assert!(phase.is_over(now + Duration::from_secs(5), true, false));
        assert!(matches!(phase.end(), Err(Ended::Unbound)));
    }

    #[test]
    fn a_socket_that_closes_answers_our_farewell() {
        let mut phase = Phase::Open;
        assert!(matches!(phase.judge(Err(Broken::Closed)), Err(Ended::Broken(_))));
        phase.we_leave(Instant::now() + Duration::from_secs(5));
        assert!(matches!(phase.judge(Err(Broken::Closed)), Err(Ended::Stopped)));
        phase.unbound();
        assert!(phase == Phase::Left && phase.end().is_ok());
    }
}
