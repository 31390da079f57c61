//! One round: a submission on its way through the operators, and what each attempt came to.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    OperatorName, Submission,
    outcome::{Failure, Outcome},
};

/// What one attempt at one operator came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) operator: OperatorName,
    pub(crate) outcome: Outcome,
}

/// The request type of every service in this crate. The record is kept here, and not in the results,
/// because a verdict needs every attempt and a stack returns only its last.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) submission: Submission,
    attempts: Mutex<Vec<Attempt>>,
}

impl Round {
    pub(crate) fn new(submission: Submission) -> Arc<Self> {
        Arc::new(Self { submission, attempts: Mutex::default() })
    }

    pub(crate) fn record(&self, operator: OperatorName, outcome: Outcome) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).push(Attempt { operator, outcome });
    }

    /// Whether this operator gave an answer so far.
    pub(crate) fn has_answer_of(&self, operator: &OperatorName) -> bool {
        answered(operator, &self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether an attempt so far ended without a known outcome.
    pub(crate) fn has_unknown(&self) -> bool {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.iter().any(|attempt| matches!(attempt.outcome, Err(Failure::Unknown { .. })))
    }

    /// All attempts so far, oldest first; leaves none behind.
    pub(crate) fn take_attempts(&self) -> Vec<Attempt> {
        mem::take(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether this operator gave an answer about the submission: a refusal for now is one, a breaker's is not.
pub(crate) fn answered(operator: &OperatorName, attempts: &[Attempt]) -> bool {
    attempts.iter().any(|attempt| {
        attempt.operator == *operator && matches!(attempt.outcome, Ok(_) | Err(Failure::Temporary { .. }))
    })
}
