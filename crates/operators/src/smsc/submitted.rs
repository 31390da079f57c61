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
    /// A part was refused for good.
    is_rejected: bool,
    /// Nobody waits for answers: whoever hears the last one has to tell.
    is_left: bool,
}

/// What is known of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartState {
    /// The SMSC has not taken it.
    Missing,
    /// So many copies of it were sent, and are not answered.
    Open(u32),
    /// The SMSC has it, and calls it this.
    Taken(Option<ProviderMessageId>),
}

/// What is known of a message's parts when nobody waits for answers any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) parts: Vec<PartState>,
    /// One of them was refused for good.
    pub(crate) is_rejected: bool,
}

/// What an answer says of a message, where it came when nobody waited for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LateVerdict {
    /// The operator has it, and calls its parts this.
    Taken(PartIds),
    /// It has nothing of it, or rejected a part, so that it can never be whole.
    NotTaken,
}

impl Submitted {
    pub(crate) fn new(message_id: MessageId, recipient: Recipient, parts: usize) -> Self {
        let parts = vec![PartState::Missing; parts];
        let state = State { parts, is_rejected: false, is_left: false };
        Self { message_id, recipient, state: Mutex::new(state) }
    }

    /// The parts that the SMSC has not taken. Somebody waits for their answers from now on.
    pub(crate) fn begin(&self) -> Vec<usize> {
        let mut state = self.lock();
        (state.is_left, state.is_rejected) = (false, false);
        (0..state.parts.len()).filter(|part| !state.is_taken(*part)).collect()
    }

    /// A session sends this part.
    pub(crate) fn sent(&self, part: usize) {
        let mut state = self.lock();
        match &mut state.parts[part] {
            PartState::Open(copies) => *copies += 1,
            PartState::Taken(_) => {}
            missing @ PartState::Missing => *missing = PartState::Open(1),
        }
    }

    /// The SMSC took this part. What that says of the message, where nobody waits for it.
    pub(crate) fn accept(&self, part: usize, id: Option<ProviderMessageId>) -> Option<LateVerdict> {
        let mut state = self.lock();
        let is_new = !state.is_taken(part);
        state.parts[part] = PartState::Taken(id);
        if is_new { state.late_verdict() } else { None }
    }

    /// The SMSC did not take this copy of a part, or it was never sent; `for_good` where it is not to come again. As
    /// [`accept`](Self::accept).
    pub(crate) fn refuse(&self, part: usize, for_good: bool) -> Option<LateVerdict> {
        let mut state = self.lock();
        state.is_rejected |= for_good;
        match &mut state.parts[part] {
            PartState::Open(copies @ 2..) => *copies -= 1,
            PartState::Taken(_) => {}
            open => *open = PartState::Missing,
        }
        state.late_verdict()
    }

    /// Nobody waits any more.
    pub(crate) fn leave(&self) -> Left {
        let mut state = self.lock();
        state.is_left = true;
        Left { parts: state.parts.clone(), is_rejected: state.is_rejected }
    }

    /// Whether some parts were taken.
    pub(crate) fn has_any(&self) -> bool {
        self.lock().has_any()
    }

    /// Whether a part is on its way, or was taken: the others are to follow.
    pub(crate) fn is_begun(&self) -> bool {
        self.lock().parts.iter().any(|part| *part != PartState::Missing)
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
    fn is_taken(&self, part: usize) -> bool {
        matches!(self.parts[part], PartState::Taken(_))
    }

    fn has_any(&self) -> bool {
        (0..self.parts.len()).any(|part| self.is_taken(part))
    }

    /// `None` while somebody waits or a part is open, and where some of it was taken and the rest may come another time.
    fn late_verdict(&self) -> Option<LateVerdict> {
        if !self.is_left {
            return None;
        }
        if let Some(ids) = ids(&self.parts) {
            return Some(LateVerdict::Taken(ids));
        }
        let is_open = self.parts.iter().any(|part| matches!(part, PartState::Open(_)));
        (self.is_rejected || !is_open && !self.has_any()).then_some(LateVerdict::NotTaken)
    }
}

impl Left {
    /// The ids, where all parts were taken.
    pub(crate) fn ids(&self) -> Option<PartIds> {
        ids(&self.parts)
    }
}

fn ids(parts: &[PartState]) -> Option<PartIds> {
    let id = |part: &PartState| match part {
        PartState::Missing | PartState::Open(_) => None,
        PartState::Taken(id) => Some(id.clone()),
    };
    parts.iter().map(id).collect()
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
        assert!(submitted.has_any() && submitted.leave().ids().is_none());
        assert_eq!(submitted.begin(), [0, 2]);
        submitted.accept(0, id("a"));
        submitted.accept(2, None);
        assert_eq!(submitted.leave().ids(), Some(vec![id("a"), id("b"), None]));
    }

    #[test]
    fn the_last_late_answer_tells_and_only_once() {
        let submitted = submitted(2);
        submitted.begin();
        submitted.sent(0);
        submitted.sent(1);
        assert_eq!(submitted.accept(0, id("a")), None, "somebody still waits, and will tell");
        assert_eq!(submitted.leave().parts, [PartState::Taken(id("a")), PartState::Open(1)]);
        assert_eq!(submitted.accept(1, id("b")), Some(LateVerdict::Taken(vec![id("a"), id("b")])));
        assert_eq!(submitted.accept(1, id("b")), None);
    }

    #[test]
    fn a_late_refusal_speaks_for_the_message_once_nothing_is_open() {
        assert_eq!(left(1).refuse(0, false), Some(LateVerdict::NotTaken));
        assert_eq!(left(1).refuse(0, true), Some(LateVerdict::NotTaken));
        let refused = left(2);
        assert_eq!((refused.refuse(0, false), refused.refuse(1, false)), (None, Some(LateVerdict::NotTaken)));
        assert_eq!(left(2).refuse(1, true), Some(LateVerdict::NotTaken), "whatever becomes of the other part");
        let in_part = left(2);
        assert_eq!((in_part.accept(0, None), in_part.refuse(1, false)), (None, None), "some of it is there");
        let sent_again = left(1);
        sent_again.begin();
        assert_eq!(sent_again.refuse(0, true), None, "somebody waits");
        assert!(sent_again.leave().is_rejected);
        sent_again.begin();
        assert!(!sent_again.leave().is_rejected, "that was another copy");
    }

    #[test]
    fn of_several_copies_each_answer_is_about_one() {
        let submitted = submitted(1);
        submitted.begin();
        submitted.sent(0);
        submitted.leave();
        submitted.begin();
        submitted.sent(0);
        assert_eq!(submitted.refuse(0, false), None);
        assert_eq!(submitted.leave().parts, [PartState::Open(1)], "the other one is on its way");
        assert_eq!(submitted.accept(0, id("a")), Some(LateVerdict::Taken(vec![id("a")])));
        let first = left(1);
        first.begin();
        first.sent(0);
        first.leave();
        assert_eq!((first.refuse(0, false), first.refuse(0, false)), (None, Some(LateVerdict::NotTaken)));
    }
}
