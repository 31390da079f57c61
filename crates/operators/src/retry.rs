//! When the same operator is asked again.

use std::{sync::Arc, time::Duration};

use domain::{Jitter, RetrySchedule};
use tower::retry::Policy;

use crate::{
    breaker::Breaker,
    outcome::{BoxFuture, Failure, Outcome},
    round::Round,
};

/// The longest wait between two tries, whatever an operator's `Retry-After` asks for.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(2);

/// Retries failures while the breaker stays closed. tower clones the policy for each call, so the counter
/// belongs to one submission at one operator.
#[derive(Debug, Clone)]
pub(crate) struct RetryPolicy {
    schedule: RetrySchedule,
    retries: u32,
    breaker: Breaker,
    /// Whether the operator knows a submission that comes again.
    recognises: bool,
}

impl RetryPolicy {
    /// What may have been taken is only sent again at once where the operator `recognises` it: elsewhere that is a duplicate.
    pub(crate) fn new(max_retries: u32, backoff: Duration, breaker: Breaker, recognises: bool) -> Self {
        let schedule = RetrySchedule::limited(backoff, MAX_DELAY, max_retries, Jitter::Equal);
        Self { schedule, retries: 0, breaker, recognises }
    }
}

impl Policy<Arc<Round>, crate::outcome::Answer, Failure> for RetryPolicy {
    type Future = BoxFuture<()>;

    fn retry(&mut self, round: &mut Arc<Round>, outcome: &mut Outcome) -> Option<BoxFuture<()>> {
        let asked_wait = match outcome {
            Ok(_) | Err(Failure::BreakerOpen) => return None,
            Err(failure) if failure.is_unknown() && !self.recognises => return None,
            // It has waited for room already. Of what some parts are sent the others are to follow.
            Err(Failure::Busy | Failure::NoSession) if !round.is_partly_taken() => return None,
            Err(Failure::Temporary { retry_after, .. }) => *retry_after,
            Err(_) => None,
        };
        if self.breaker.is_open() {
            return None;
        }
        let delay = self.schedule.delay(self.retries, &mut rand::rng())?;
        self.retries += 1;
        let delay = asked_wait.map_or(delay, |asked| asked.clamp(delay, MAX_DELAY));
        let breaker = self.breaker.clone();
        Some(Box::pin(async move {
            // When the breaker opens meanwhile, the next try ends at it at once and the next operator is asked.
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = breaker.opens() => {}
            }
        }))
    }

    fn clone_request(&mut self, round: &Arc<Round>) -> Option<Arc<Round>> {
        Some(Arc::clone(round))
    }
}
