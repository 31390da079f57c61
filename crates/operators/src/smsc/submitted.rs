//! What an operator has of one message: which parts it took, and what it calls them.

use std::sync::{Mutex, PoisonError};

use domain::{MessageId, ProviderMessageId, Recipient};

/// An id of each part, in order; `None` where the SMSC gave none that can be kept.
pub(crate) type PartIds = Vec<Option<ProviderMessageId>>;

/// The parts of one message at one operator. They are kept for a round, so that another try sends only what is missing; and for as long as
/// an answer may still come, so that one that comes too late for the round is not lost.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) message_id: MessageId,
    pub(crate) recipient: Recipient,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    parts: Vec<PartState>,
    /// A part is on its way, or was: the others are to follow.
    is_begun: bool,
    /// A part was refused for good.
    is_rejected: bool,
    /// Nobody waits for answers: whoever hears the last one has to tell.
    is_left: bool,
}

/// What is known of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PartState {
    /// The SMSC has not taken it.
    Missing,
    /// It was sent, and is not answered.
    Open,
    /// The SMSC has it, and calls it this.
    Taken(Option<ProviderMessageId>),
}

/// What the last answer says of a message, where it came when nobody waited for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LateVerdict {
    /// The operator has it, and calls its parts this.
    Taken(PartIds),
    /// It rejected the message, or a part of it: it can never be whole.
    Rejected,
    /// It has nothing of it, and may take it another time.
    Refused,
}

impl Submitted {
    pub(crate) fn new(message_id: MessageId, recipient: Recipient, parts: usize) -> Self {
        let parts = vec![PartState::Missing; parts];
        let state = State { parts, is_begun: false, is_rejected: false, is_left: false };
        Self { message_id, recipient, state: Mutex::new(state) }
    }

    /// The parts that the SMSC has not taken. Somebody waits for their answers from now on.
    pub(crate) fn begin(&self) -> Vec<usize> {
        let mut state = self.lock();
        state.is_left = false;
        let is_taken = |part: &usize| matches!(state.parts[*part], PartState::Taken(_));
        (0..state.parts.len()).filter(|part| !is_taken(part)).collect()
    }

    /// A session sends this part.
    pub(crate) fn sent(&self, part: usize) {
        let mut state = self.lock();
        state.is_begun = true;
        if state.parts[part] == PartState::Missing {
            state.parts[part] = PartState::Open;
        }
    }

    /// The SMSC took this part. What that says of the message, where nobody waits for it and nothing else is open.
    pub(crate) fn accept(&self, part: usize, id: Option<ProviderMessageId>) -> Option<LateVerdict> {
        self.judge(part, |state| state.parts[part] = PartState::Taken(id))
    }

    /// The SMSC did not take this part, or it was never sent; `for_good` where it is not to come again. As [`accept`](Self::accept).
    pub(crate) fn refuse(&self, part: usize, for_good: bool) -> Option<LateVerdict> {
        self.judge(part, |state| {
            state.is_rejected |= for_good;
            if state.parts[part] == PartState::Open {
                state.parts[part] = PartState::Missing;
            }
        })
    }

    fn judge(&self, part: usize, change: impl FnOnce(&mut State)) -> Option<LateVerdict> {
        let mut state = self.lock();
        let was_open = state.parts[part] == PartState::Open;
        change(&mut state);
        if was_open && state.is_left { state.verdict() } else { None }
    }

    /// Nobody waits any more. The ids, where all parts were taken.
    pub(crate) fn leave(&self) -> Option<PartIds> {
        let mut state = self.lock();
        state.is_left = true;
        state.ids()
    }

    /// Whether some parts were taken.
    pub(crate) fn has_any(&self) -> bool {
        self.lock().has_any()
    }

    /// Whether a part was sent.
    pub(crate) fn is_begun(&self) -> bool {
        self.lock().is_begun
    }

    /// In how many parts it goes.
    pub(crate) fn count(&self) -> usize {
        self.lock().parts.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_any(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, PartState::Taken(_)))
    }

    fn ids(&self) -> Option<PartIds> {
        let id = |part: &PartState| match part {
            PartState::Missing | PartState::Open => None,
            PartState::Taken(id) => Some(id.clone()),
        };
        self.parts.iter().map(id).collect()
    }

    /// `None` while a part is open, and where some of it was taken and the rest may come another time.
    fn verdict(&self) -> Option<LateVerdict> {
        if let Some(ids) = self.ids() {
            return Some(LateVerdict::Taken(ids));
        }
        match (self.parts.contains(&PartState::Open), self.is_rejected, self.has_any()) {
            (true, ..) | (false, false, true) => None,
            (false, true, _) => Some(LateVerdict::Rejected),
            (false, false, false) => Some(LateVerdict::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// A message in so many parts, which were all sent, and for which nobody waits.
    fn left(parts: usize) -> Submitted {
        let submitted = submitted(parts);
        (0..parts).for_each(|part| submitted.sent(part));
        submitted.leave();
        submitted
    }

    fn submitted(parts: usize) -> Submitted {
        let submission = testing::submission();
        Submitted::new(submission.message_id, submission.recipient, parts)
    }

    fn id(id: &str) -> Option<ProviderMessageId> {
        ProviderMessageId::parse(id)
    }

    #[test]
    fn only_what_is_missing_is_sent_again() {
        let submitted = submitted(3);
        assert_eq!(submitted.begin(), [0, 1, 2]);
        submitted.accept(1, id("b"));
        assert!(submitted.has_any() && submitted.leave().is_none());
        assert_eq!(submitted.begin(), [0, 2]);
        submitted.accept(0, id("a"));
        submitted.accept(2, None);
        assert_eq!(submitted.leave(), Some(vec![id("a"), id("b"), None]));
    }

    #[test]
    fn the_last_late_answer_tells_and_only_once() {
        let submitted = submitted(2);
        submitted.begin();
        submitted.sent(0);
        submitted.sent(1);
        assert_eq!(submitted.accept(0, id("a")), None, "somebody still waits, and will tell");
        assert_eq!(submitted.leave(), None);
        assert_eq!(submitted.accept(1, id("b")), Some(LateVerdict::Taken(vec![id("a"), id("b")])));
        assert_eq!(submitted.accept(1, id("b")), None);
    }

    #[test]
    fn a_late_refusal_speaks_for_the_message_once_nothing_is_open() {
        assert_eq!(left(1).refuse(0, false), Some(LateVerdict::Refused));
        assert_eq!(left(1).refuse(0, true), Some(LateVerdict::Rejected));
        let rejected = left(2);
        assert_eq!((rejected.refuse(1, true), rejected.accept(0, id("a"))), (None, Some(LateVerdict::Rejected)));
        let in_part = left(2);
        assert_eq!((in_part.accept(0, None), in_part.refuse(1, false)), (None, None), "some of it is there");
        let sent_again = left(1);
        sent_again.begin();
        assert_eq!(sent_again.refuse(0, true), None, "somebody waits");
    }
}
