//! The database, and the only user of sea-orm.
//!
//! How it stays correct:
//!
//! - Everything that belongs together commits together: charge, messages, outbox event and idempotency key
//!   in [`Database::accept`]; a message's failure and its refund in [`Database::settle`].
//! - Every change of state is guarded: by the state and the owner that its statement names, or by rows that are locked and judged first.
//! - Claims are leases with an owner; who no longer owns a row changes nothing.
//! - Locks are taken in one order everywhere (messages, then balances by customer), and what the
//!   database rolls back as a deadlock is run again, in one place (`engine/transaction.rs`).
//! - Leases, retries and expiry follow the database's clock, so the clocks of the processes do not matter.

mod callbacks;
mod engine;
mod entity;
mod messages;
mod money;
mod outbox;
mod page;
#[cfg(test)]
mod plans;
mod reader;
mod receipt_policy;
mod receipts;
#[cfg(test)]
mod samples;
mod stored;
mod tenants;
mod watched;

pub use callbacks::{
    CallbackAttempt, CallbackEnd, CallbackEndpoint, CallbackEvent, CallbackFilter, CallbackLags, CallbackPlace,
    CallbackRecord, ClaimedCallback, DueEndpoint, EndpointChange, EndpointCreated, MAX_ENDPOINTS, NewEndpoint,
    Recorded, Resent,
};
pub use engine::{Database, DatabaseConfig, Error, HELD_AT_MOST, Query, Readiness, tcp_nodelay_to};
pub use messages::{
    AcceptOutcome, AcceptRequest, Begin, BeginRequest, Called, Cancel, Cancelled, Charged, ClaimedRecipient, Deferral,
    Deferred, Extra, HistoryEntry, HistoryFilter, LateAnswer, MessageDetails, MessageOverview, OperatorMessage,
    Outcome, PutOff, RecipientEntry, Resumed, Said, Settlement, StateWrite, StateWritten,
};
pub use migrations::{ACCEPTED_URLS, Address, AddressError};
pub use money::{IdempotentRequest, LedgerEntry, LedgerSlice, Route, TopUpOutcome, TopUpRequest};
pub use outbox::{
    ClaimToken, ClaimedEvent, EventContent, Held, HeldOutcome, OutboxEventId, Promoted, Promotion, Search,
};
pub use page::{Cursor, Page};
pub use reader::Reader;
pub use receipt_policy::ReceiptPolicy;
pub use receipts::{NewReceipt, ParkedPage, ParkedPlace, Received};
pub use stored::Stored;
pub use tenants::{
    Issued, KeyStanding, KeyUse, MAX_LIVE_KEYS, NewKey, RegisteredSender, RotatedFrom, Rotation, StoredKey,
};
