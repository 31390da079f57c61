//! The two state machines and their legal moves.
//!
//! ```text
//! message:  pending -> sending -> done | failed     (pending -> failed when it can never be published, or its time is over)
//!           sending -> pending                       (no operator can have it: it waits for a first round again)
//!           scheduled -> pending | failed            (its time has come, or it was cancelled; shown as pending)
//! outbox:   pending -> processing -> processed | failed
//!           scheduled -> pending | failed
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// What stands in the tables for what waits for its time, messages and events alike. To clients it is `pending`; releases that do not
/// know the word leave such rows alone.
pub const SCHEDULED: &str = "scheduled";

/// Where one recipient's message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// Charged and stored, not yet taken by a worker.
    Pending,
    /// A worker holds it, or held it when it crashed: an operator may have seen it.
    Sending,
    /// An operator accepted it. Final.
    Done,
    /// It was definitely not accepted, and its price was refunded. Final.
    Failed,
}

impl MessageStatus {
    /// Every status, in the order of life.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Sending, Self::Done, Self::Failed];

    /// The name used in bodies and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Parses a status' name.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == value)
            .ok_or_else(|| Invalid::new("status", "must be one of pending, sending, done, failed"))
    }

    /// The status that a table's word stands for.
    pub fn of_stored(word: &str) -> Option<Self> {
        if word == SCHEDULED { Some(Self::Pending) } else { Self::parse(word).ok() }
    }

    /// Whether a message may move from here to `next`. `sending -> sending` is a takeover after a crash, `sending -> pending` a
    /// deferral where no operator can have it.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Sending | Self::Failed),
            Self::Sending => matches!(next, Self::Pending | Self::Sending | Self::Done | Self::Failed),
            Self::Done | Self::Failed => false,
        }
    }
}

impl fmt::Display for MessageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of a message after an operator accepted it, as its receipts tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// It reached the phone.
    Delivered,
    /// It did not.
    Undelivered,
    /// It was not delivered in the time it had.
    Expired,
    /// The operator accepted it and refused it later.
    Rejected,
    /// Nobody knows.
    Unknown,
}

impl DeliveryStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Delivered, Self::Undelivered, Self::Expired, Self::Rejected, Self::Unknown];

    /// The name used in bodies and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }

    /// Parses a status' name.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == value);
        let expected = "must be one of delivered, undelivered, expired, rejected, unknown";
        found.ok_or_else(|| Invalid::new("delivery_status", expected))
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an outbox event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxStatus {
    /// Waiting for its time.
    Scheduled,
    /// Waiting for a relay.
    Pending,
    /// Claimed by a relay under a lease.
    Processing,
    /// The broker confirmed it.
    Processed,
    /// It can never be published; its message failed and was refunded.
    Failed,
}

impl OutboxStatus {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Scheduled, Self::Pending, Self::Processing, Self::Processed, Self::Failed];

    /// The state of this name; `None` for one that this release does not know.
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == value)
    }

    /// The name used in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => SCHEDULED,
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_parse_back() {
        for status in MessageStatus::ALL {
            assert_eq!(MessageStatus::parse(status.as_str()), Ok(status));
        }
        assert!(MessageStatus::parse("DONE").is_err());
        for status in OutboxStatus::ALL {
            assert_eq!(OutboxStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(OutboxStatus::parse("later"), None);
    }

    proptest! {
        #[test]
        fn no_sequence_of_legal_moves_leaves_a_final_state(steps in prop::collection::vec(0usize..4, 0..40)) {
            let mut status = MessageStatus::Pending;
            for step in steps {
                let next = MessageStatus::ALL[step];
                if status.may_become(next) {
                    let is_final = matches!(status, MessageStatus::Done | MessageStatus::Failed);
                    prop_assert!(!is_final, "{} became {}", status, next);
                    status = next;
                }
            }
        }
    }
}
