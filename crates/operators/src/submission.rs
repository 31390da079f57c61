//! What is handed to an operator.

use std::{fmt, sync::Arc};

use domain::{Encoding, MessageId, MessageType, Recipient, Sender};

/// One text for one recipient: the unit that an operator accepts or rejects. Cheap to clone.
#[derive(Clone)]
pub struct Submission {
    /// The accepted request it belongs to.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: Recipient,
    /// What is sent; shared by all recipients of a message.
    pub text: Arc<str>,
    /// How urgently.
    pub kind: MessageType,
    /// From whom, if somebody said so; otherwise the operator decides.
    pub from: Option<Sender>,
    /// How it goes over the air, if the request asked about it; otherwise the operator decides.
    pub coding: Option<Coding>,
    /// For how many seconds it may still be delivered, if that has an end.
    pub validity: Option<u64>,
}

/// How a text goes over the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    /// In which characters.
    pub encoding: Encoding,
    /// In how many parts: what was charged for.
    pub segments: usize,
}

impl Submission {
    /// One that says no more than what every one says.
    pub fn plain(message_id: MessageId, recipient: Recipient, text: Arc<str>, kind: MessageType) -> Self {
        Self { message_id, recipient, text, kind, from: None, coding: None, validity: None }
    }

    /// `<message id>:<recipient>`, the same for every attempt at every operator.
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}", self.message_id, self.recipient)
    }
}

impl fmt::Debug for Submission {
    /// Without the number and the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("message_id", &self.message_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What is known of earlier rounds of the same submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// No operator can have seen it.
    First,
    /// An earlier round ended without a known outcome (a crash, a timeout): an operator may have it already.
    Resumed,
    /// The same, for so long that the next operator is asked even though one before it may have the message.
    Overdue,
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn debug_output_shows_neither_number_nor_text() {
        let submission = testing::submission();
        let shown = format!("{submission:?}");
        assert!(shown.contains(submission.message_id.as_str()));
        assert!(!shown.contains(submission.recipient.as_str()) && !shown.contains(&*submission.text), "{shown}");
    }
}
