//! What one attempt at one operator can lead to.

use std::{pin::Pin, time::Duration};

use crate::smsc::PartIds;

/// The future type of this crate's services.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A definite answer about the submission itself. Trying again would change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The operator has it.
    Accepted { ids: PartIds },
    /// The operator will never take it. The operator works, so this does not count for the breaker. With `of_every_copy` it says the
    /// same of what was sent before; otherwise an operator that does not know what comes again speaks of the last copy alone.
    Rejected { reason: String, of_every_copy: bool },
}

/// Why an attempt led to no definite answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The operator answered that it cannot take it now.
    #[error("answered {answer}")]
    Temporary { answer: String, retry_after: Option<Duration> },
    /// The operator asked to slow down, for all messages and not for this one.
    #[error("asked to slow down: {answer}")]
    Throttled { answer: String },
    /// There was no room for it on the operator's sessions: nothing was sent.
    #[error("has no room for it now")]
    Busy,
    /// There is no session with the operator: nothing was sent.
    #[error("has no session")]
    NoSession,
    /// The request did not leave this machine.
    #[error("was not reached: {reason}")]
    NotSent { reason: String },
    /// The request may have arrived, but no answer came back.
    #[error("may have taken it: {reason}")]
    Unknown { reason: String },
    /// The same on a session: what it means for the operator its sessions find out by themselves.
    #[error("may have taken it: {reason}")]
    Unanswered { reason: &'static str },
    /// The breaker let no request through.
    #[error("was skipped, its breaker is open")]
    BreakerOpen,
}

impl Failure {
    /// Whether the operator may have it.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Unanswered { .. })
    }

    /// Whether it counts against the operator. One that is busy works, and sessions know by themselves whether theirs is there: a whole
    /// window that is lost with one of them says no more than one message, and one that is silent has no room before long.
    pub(crate) fn is_fault(&self) -> bool {
        !matches!(self, Self::Throttled { .. } | Self::Busy | Self::NoSession | Self::Unanswered { .. })
    }
}

/// What one attempt came to.
pub(crate) type Outcome = Result<Answer, Failure>;

/// Every class of outcome, as the metric label `result` names it.
pub(crate) const CLASSES: [&str; 8] =
    ["accepted", "rejected", "temporary", "not_sent", "unknown", "breaker_open", "throttled", "busy"];

/// The position in [`CLASSES`].
pub(crate) fn class_of(outcome: &Outcome) -> usize {
    match outcome {
        Ok(Answer::Accepted { .. }) => 0,
        Ok(Answer::Rejected { .. }) => 1,
        Err(Failure::Temporary { .. }) => 2,
        Err(Failure::NotSent { .. } | Failure::NoSession) => 3,
        Err(Failure::Unknown { .. } | Failure::Unanswered { .. }) => 4,
        Err(Failure::BreakerOpen) => 5,
        Err(Failure::Throttled { .. }) => 6,
        Err(Failure::Busy) => 7,
    }
}
