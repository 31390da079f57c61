//! An operator that is reached over SMPP: one submission, in as many parts as it has, on whatever sessions have room.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use chrono::{DateTime, Utc};
use domain::Lane;
use futures_util::future::join_all;
use smpp::{Fault, Status, SubmitClass};
use tower::Service;

use super::{
    LateVerdict, Shared, message,
    pool::{Reply, Submitting},
    submitted::{Left, PartState, Submitted},
};
use crate::{
    outcome::{Answer, BoxFuture, Failure, Outcome},
    round::Round,
};

/// One SMPP operator; clones share its sessions.
#[derive(Clone)]
pub(crate) struct SmppOperator {
    shared: Arc<Shared>,
}

impl SmppOperator {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn submit(self, round: Arc<Round>) -> Outcome {
        let Shared { operator, config, pool, begun, .. } = &*self.shared;
        let submission = &round.submission;
        let sms = match message::parts(config, operator, submission, now()) {
            Ok(sms) => sms,
            Err(error) => return Ok(Answer::Rejected { reason: error.to_string(), of_every_copy: true }),
        };
        let submitted = round.submitted(operator, || begun.of(submission, sms.len()));
        let mut waiting = Waiting { submitted: &submitted, shared: &self.shared, is_over: false };
        let (lane, missing) = (Lane::of(submission.kind), submitted.begin());
        let submits = sms.into_iter().enumerate().filter(|(part, _)| missing.contains(part));
        let submit = async |(part, sm)| (part, self.judge(&pool.submit(lane, Box::new(sm), &submitted, part).await));
        let results = join_all(submits.map(submit)).await;
        let left = waiting.over();
        let outcome = self.outcome(&left, results);
        begun.left(&submitted, outcome.is_err());
        outcome
    }

    fn judge(&self, submitting: &Submitting) -> PartResult {
        let status = match *submitting {
            Submitting::Replied(Reply::Answered(status, _)) => status,
            Submitting::Replied(Reply::NotUnderstood(status)) => {
                return PartResult::rejected(format!("did not understand the message: {status}"));
            }
            Submitting::Replied(Reply::Lost) => {
                return PartResult::Failed(Failure::Unanswered { reason: "the session ended before it answered" });
            }
            Submitting::NoAnswer => return PartResult::Failed(Failure::Unanswered { reason: "no answer in time" }),
            Submitting::Busy => return PartResult::Failed(Failure::Busy),
            Submitting::NoSession | Submitting::Replied(Reply::NotSent) => {
                return PartResult::Failed(Failure::NoSession);
            }
        };
        match self.shared.config.class_of(status) {
            SubmitClass::Accepted => PartResult::Accepted,
            SubmitClass::Rejected(fault) => {
                if fault == Fault::Settings {
                    self.shared.meters.settings_are_wrong(status);
                }
                // No copy of a message with such a number was ever taken.
                let of_every_copy = [Status::INVALID_SOURCE, Status::INVALID_DESTINATION].contains(&status);
                PartResult::Rejected { reason: format!("answered {status}"), of_every_copy }
            }
            SubmitClass::Throttled => PartResult::Failed(Failure::Throttled { answer: status.to_string() }),
            SubmitClass::Temporary | SubmitClass::SessionBroken => PartResult::Failed(temporary(status)),
        }
    }

    /// What the parts come to. A rejection of one is one of the message, whatever became of the others: it can never be whole.
    fn outcome(&self, left: &Left, results: Vec<(usize, PartResult)>) -> Outcome {
        if let Some(ids) = left.ids() {
            return Ok(Answer::Accepted { ids });
        }
        let mut failed: Option<Failure> = None;
        for (part, result) in results {
            match result.or_late(left, part) {
                PartResult::Accepted => {}
                PartResult::Rejected { reason, of_every_copy } => {
                    if left.parts.iter().any(|part| matches!(part, PartState::Taken(_))) {
                        self.shared.meters.partial.increment(1);
                    }
                    return Ok(Answer::Rejected { reason, of_every_copy });
                }
                PartResult::Failed(failure) => {
                    let is_worse = failure.is_unknown() && !failed.as_ref().is_some_and(Failure::is_unknown);
                    if is_worse || failed.is_none() {
                        failed = Some(failure);
                    }
                }
            }
        }
        // Parts that were neither taken nor asked about have failed by one of these.
        Err(failed.unwrap_or(Failure::Busy))
    }
}

fn temporary(status: Status) -> Failure {
    Failure::Temporary { answer: status.to_string(), retry_after: None }
}

/// What became of one part.
enum PartResult {
    Accepted,
    Rejected { reason: String, of_every_copy: bool },
    Failed(Failure),
}

impl PartResult {
    fn rejected(reason: String) -> Self {
        Self::Rejected { reason, of_every_copy: false }
    }

    /// The same, unless its answer came too late for itself while others were waited for.
    fn or_late(self, left: &Left, part: usize) -> Self {
        match (&self, &left.parts[part]) {
            (Self::Failed(Failure::Unanswered { .. }), PartState::Taken(_)) => Self::Accepted,
            (Self::Failed(Failure::Unanswered { .. }), PartState::Missing) if left.is_rejected => {
                Self::rejected("rejected it late".to_owned())
            }
            (Self::Failed(Failure::Unanswered { .. }), PartState::Missing) => {
                Self::Failed(Failure::Temporary { answer: "a refusal, late".to_owned(), retry_after: None })
            }
            _ => self,
        }
    }
}

/// Somebody waits for the answers about a message, until this is gone.
struct Waiting<'a> {
    submitted: &'a Arc<Submitted>,
    shared: &'a Shared,
    is_over: bool,
}

impl Waiting<'_> {
    /// All answers are in, or were waited for.
    fn over(&mut self) -> Left {
        self.is_over = true;
        self.submitted.leave()
    }
}

impl Drop for Waiting<'_> {
    /// Whoever waited is gone: an answer that came in this very moment is a late one.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let ids = self.submitted.leave().ids();
        self.shared.begun.left(self.submitted, ids.is_none());
        if let Some(ids) = ids {
            self.shared.tell_late(self.submitted, LateVerdict::Taken(ids));
        }
    }
}

impl Service<Arc<Round>> for SmppOperator {
    type Response = Answer;
    type Error = Failure;
    type Future = BoxFuture<Outcome>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, round: Arc<Round>) -> BoxFuture<Outcome> {
        Box::pin(self.clone().submit(round))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "for what the SMSC is told of a message's end; what decides goes by the database's clock"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a part without an answer in time comes to.
    fn unanswered(state: PartState, is_rejected: bool) -> &'static str {
        let left = Left { parts: vec![state], is_rejected };
        match PartResult::Failed(Failure::Unanswered { reason: "no answer in time" }).or_late(&left, 0) {
            PartResult::Accepted => "accepted",
            PartResult::Rejected { .. } => "rejected",
            PartResult::Failed(failure) if failure.is_unknown() => "unknown",
            PartResult::Failed(_) => "temporary",
        }
    }

    #[test]
    fn an_answer_that_comes_while_others_are_waited_for_is_one() {
        assert_eq!(unanswered(PartState::Open(1), false), "unknown");
        assert_eq!(unanswered(PartState::Open(1), true), "unknown");
        assert_eq!(unanswered(PartState::Taken(None), false), "accepted");
        assert_eq!(unanswered(PartState::Missing, false), "temporary");
        assert_eq!(unanswered(PartState::Missing, true), "rejected");
    }
}
