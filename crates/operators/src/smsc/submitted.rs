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
    /// Nobody waits for answers: whoever hears the last one has to tell.
    is_left: bool,
}

/// What is known of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PartState {
    /// The SMSC has not taken it.
    Missing,
    /// It has, and calls it this.
    Taken(Option<ProviderMessageId>),
}

impl Submitted {
    pub(crate) fn new(message_id: MessageId, recipient: Recipient, parts: usize) -> Self {
        let state = State { parts: vec![PartState::Missing; parts], is_left: false };
        Self { message_id, recipient, state: Mutex::new(state) }
    }

    /// The parts that are still to be sent. Somebody waits for their answers from now on.
    pub(crate) fn begin(&self) -> Vec<usize> {
        let mut state = self.lock();
        state.is_left = false;
        (0..state.parts.len()).filter(|part| state.parts[*part] == PartState::Missing).collect()
    }

    /// The SMSC took this part.
    pub(crate) fn accept(&self, part: usize, id: Option<ProviderMessageId>) {
        self.lock().parts[part] = PartState::Taken(id);
    }

    /// Nobody waits any more. The ids, where all parts were taken.
    pub(crate) fn leave(&self) -> Option<PartIds> {
        let mut state = self.lock();
        state.is_left = true;
        state.ids()
    }

    /// The SMSC took this part, and nobody waited for that answer. The ids where it was the last one, and nobody else tells.
    pub(crate) fn accept_late(&self, part: usize, id: Option<ProviderMessageId>) -> Option<PartIds> {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.parts[part], PartState::Taken(id));
        if state.is_left && before == PartState::Missing { state.ids() } else { None }
    }

    /// Whether some parts were taken.
    pub(crate) fn has_any(&self) -> bool {
        self.lock().parts.iter().any(|part| *part != PartState::Missing)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ids(&self) -> Option<PartIds> {
        let id = |part: &PartState| match part {
            PartState::Missing => None,
            PartState::Taken(id) => Some(id.clone()),
        };
        self.parts.iter().map(id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

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
        assert_eq!(submitted.accept_late(0, id("a")), None, "somebody still waits, and will tell");
        assert_eq!(submitted.leave(), None);
        assert_eq!(submitted.accept_late(1, id("b")), Some(vec![id("a"), id("b")]));
        assert_eq!(submitted.accept_late(1, id("b")), None);
    }
}
