//! What one attempt at one operator can lead to.

use std::{pin::Pin, time::Duration};

use domain::ProviderMessageId;

/// The future type of this crate's services.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A definite answer about the submission itself. Trying again would change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The operator has it.
    Accepted { provider_message_id: Option<ProviderMessageId> },
    /// The operator will never take it. The operator works, so this does not count for the breaker.
    Rejected { reason: String },
}

/// Why an attempt led to no definite answer. Each counts against the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The operator answered that it cannot take it now.
    #[error("answered {status}")]
    Temporary { status: u16, retry_after: Option<Duration> },
    /// The request did not leave this machine.
    #[error("was not reached: {reason}")]
    NotSent { reason: String },
    /// The request may have arrived, but no answer came back.
    #[error("may have taken it: {reason}")]
    Unknown { reason: String },
    /// The breaker let no request through.
    #[error("was skipped, its breaker is open")]
    BreakerOpen,
}

/// What one attempt came to.
pub(crate) type Outcome = Result<Answer, Failure>;

/// Every class of outcome, as the metric label `result` names it.
pub(crate) const CLASSES: [&str; 6] = ["accepted", "rejected", "temporary", "not_sent", "unknown", "breaker_open"];

/// The position in [`CLASSES`].
pub(crate) fn class_of(outcome: &Outcome) -> usize {
    match outcome {
        Ok(Answer::Accepted { .. }) => 0,
        Ok(Answer::Rejected { .. }) => 1,
        Err(Failure::Temporary { .. }) => 2,
        Err(Failure::NotSent { .. }) => 3,
        Err(Failure::Unknown { .. }) => 4,
        Err(Failure::BreakerOpen) => 5,
    }
}
