//! The rules of the platform: what a message, a price, a state and a retry are.
//!
//! Nothing here does I/O or waits. Every type can only be built valid, so the other crates
//! never check the same thing twice: they parse at the edge and pass these types on.

pub mod api_key;
pub mod callback;
pub mod encoding;
pub mod event;
pub mod grant;
pub mod id;
pub mod idempotency;
pub mod invisible;
pub mod lane;
pub mod ledger;
pub mod message;
pub mod money;
pub mod numbering;
pub mod part;
pub mod pricing;
pub mod provider_message_id;
pub mod receipt;
pub mod reference;
pub mod retry;
pub mod rfc3339;
pub mod segments;
pub mod sender;
pub mod status;
pub mod turn;
pub mod validity;

pub use api_key::{ApiKey, KeyHash, KeyKind};
pub use callback::{CallbackEventId, CallbackStatus, CallbackTrigger, CallbackType, CallbackTypes, EndpointId};
pub use encoding::{Encoding, EncodingChoice};
pub use event::{CarriedMessage, EventKind, MessageBody, OutboxPayload};
pub use grant::{Grant, KeyName, Owner, Scope, Scopes};
pub use id::{CustomerId, MessageId, TransactionId};
pub use idempotency::IdempotencyKey;
pub use lane::{Lane, PerLane};
pub use ledger::LedgerKind;
pub use message::{Message, MessageText, MessageType, Recipient, Recipients};
pub use money::{Balance, Money, TopUpAmount};
pub use numbering::{CountryCode, Numbering};
pub use part::Part;
pub use pricing::{PriceList, PriceUnit, Quote, SegmentCount, Tariff};
pub use provider_message_id::{IdMatch, ProviderMessageId};
pub use receipt::{ErrorCode, Receipt, ReceiptState, RefundOnReceipt, ReportedNumber};
pub use reference::ClientReference;
pub use retry::{Jitter, RetrySchedule};
pub use segments::Segmentation;
pub use sender::Sender;
pub use status::{DeliveryStatus, MessageStatus, OutboxStatus};
pub use turn::{FairOrder, Turn};
pub use validity::{Expiry, SendAt, Validity};

/// Why a value from outside was refused: the field and what is accepted, in words a client may read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {expected}")]
pub struct Invalid {
    /// Name of the field as the client wrote it.
    pub field: &'static str,
    /// What is accepted, worded to follow the field's name ("must be ...").
    pub expected: String,
}

impl Invalid {
    /// An error about `field`; `expected` continues the sentence ("must be ...").
    pub fn new(field: &'static str, expected: impl Into<String>) -> Self {
        Self { field, expected: expected.into() }
    }
}
