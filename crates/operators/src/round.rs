//! One round: a submission on its way through the operators, and what each attempt came to.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    OperatorName, Prior, Submission,
    outcome::{Answer, Failure, Outcome},
    smsc::Submitted,
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
    /// What is known of rounds before this one.
    pub(crate) prior: Prior,
    attempts: Mutex<Vec<Attempt>>,
    /// What operators have of it that take it in parts.
    parts: Mutex<Vec<(OperatorName, Arc<Submitted>)>>,
}

impl Round {
    pub(crate) fn new(submission: Submission, prior: Prior) -> Arc<Self> {
        Arc::new(Self { submission, prior, attempts: Mutex::default(), parts: Mutex::default() })
    }

    /// What this operator has of it, the same for all of its tries: at the first what was known `before`.
    pub(crate) fn submitted(&self, operator: &OperatorName, before: impl FnOnce() -> Arc<Submitted>) -> Arc<Submitted> {
        let mut all = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, submitted)) = all.iter().find(|(known, _)| known == operator) {
            return Arc::clone(submitted);
        }
        let submitted = before();
        all.push((operator.clone(), Arc::clone(&submitted)));
        submitted
    }

    /// Whether an operator has some of its parts.
    pub(crate) fn is_partly_taken(&self) -> bool {
        let all = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(_, submitted)| submitted.has_any())
    }

    /// The operators that have some of its parts.
    pub(crate) fn partly_taken_by(&self) -> Vec<OperatorName> {
        let all = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(_, submitted)| submitted.has_any()).map(|(operator, _)| operator.clone()).collect()
    }

    pub(crate) fn record(&self, operator: OperatorName, outcome: Outcome) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).push(Attempt { operator, outcome });
    }

    /// Whether this operator gave an answer so far.
    pub(crate) fn has_answer_of(&self, operator: &OperatorName, recognises: bool) -> bool {
        answered(operator, recognises, &self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether an operator may have it, or has some of it.
    pub(crate) fn may_be_taken(&self) -> bool {
        let is_unknown = |attempt: &Attempt| attempt.outcome.as_ref().is_err_and(Failure::is_unknown);
        self.is_partly_taken() || self.attempts.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_unknown)
    }

    /// All attempts so far, oldest first; leaves none behind.
    pub(crate) fn take_attempts(&self) -> Vec<Attempt> {
        mem::take(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether this operator gave an answer about the submission, whenever it was sent: a rejection or a refusal for now is one where the
/// operator `recognises` what comes again, and elsewhere only what says the same of every copy. A breaker's is none.
pub(crate) fn answered(operator: &OperatorName, recognises: bool, attempts: &[Attempt]) -> bool {
    attempts.iter().filter(|attempt| attempt.operator == *operator).any(|attempt| match attempt.outcome {
        Ok(Answer::Accepted { .. }) => true,
        Ok(Answer::Rejected { of_every_copy, .. }) => recognises || of_every_copy,
        Err(Failure::Temporary { .. }) => recognises,
        Err(_) => false,
    })
}
