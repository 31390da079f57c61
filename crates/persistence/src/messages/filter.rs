//! Which messages a list has.

use domain::{CustomerId, DeliveryStatus, MessageId, MessageStatus};

use crate::{Cursor, Reader, entity::message_status::Model};

/// Which messages to list, and for whom; what is `None` does not narrow the list.
#[derive(Debug, Clone)]
pub struct HistoryFilter {
    /// Whose messages may be shown.
    pub reader: Reader,
    /// In this state.
    pub status: Option<MessageStatus>,
    /// Of which receipts tell this.
    pub delivery_status: Option<DeliveryStatus>,
    /// Of this request.
    pub message_id: Option<MessageId>,
    /// After this place.
    pub cursor: Option<Cursor>,
}

impl HistoryFilter {
    /// All that this reader may see.
    pub fn of(reader: Reader) -> Self {
        Self { reader, status: None, delivery_status: None, message_id: None, cursor: None }
    }

    /// The customer to whom the list is narrowed.
    pub(super) fn customer(&self) -> Option<CustomerId> {
        self.reader.customer()
    }

    pub(super) fn is_by_state(&self) -> bool {
        self.status.is_some() || self.delivery_status.is_some()
    }

    /// Whether a row is in the states that are asked for.
    pub(super) fn matches_state(&self, row: &Model) -> bool {
        let is_in = |wanted: Option<&str>, stored: Option<&str>| wanted.is_none_or(|wanted| stored == Some(wanted));
        self.status.is_none_or(|wanted| MessageStatus::of_stored(&row.status) == Some(wanted))
            && is_in(self.delivery_status.map(DeliveryStatus::as_str), row.delivery_status.as_deref())
    }
}
