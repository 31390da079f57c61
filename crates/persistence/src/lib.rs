//! The database, and the only user of sea-orm.
//!
//! How it stays correct:
//!
//! - Everything that belongs together commits together: charge, messages, outbox event and idempotency key
//!   in [`Database::accept`]; a message's failure and its refund in [`Database::settle`].
//! - Every change of state is guarded: rows are locked, judged in memory, and changed by primary key.
//! - Claims are leases with an owner; who no longer owns a row changes nothing.
//! - Locks are taken in one order everywhere (messages by id, then balances by customer), and what the
//!   database rolls back as a deadlock is run again, in one place ([`Database`]'s transactions).
//! - Leases, retries and expiry follow the database's clock, so the clocks of the processes do not matter.

mod accept;
mod audit;
mod cause;
mod config;
mod credits;
mod database;
mod delivery;
mod dialect;
mod entity;
mod error;
mod history;
mod idempotency;
mod ledger;
mod outbox;
mod outbox_failure;
mod pool;
mod reach;
mod readiness;
mod recovery;
mod refund;
mod retry;
mod schema;
mod session;
mod shape;

pub use accept::{AcceptOutcome, AcceptRequest};
pub use audit::LedgerSlice;
pub use config::DatabaseConfig;
pub use database::Database;
pub use delivery::{Begin, BeginRequest, ClaimedRecipient, Deferred, Outcome, Settlement};
pub use error::Error;
pub use history::{Cursor, HistoryEntry, HistoryFilter, Page};
pub use idempotency::{IdempotentRequest, Route};
pub use ledger::{LedgerEntry, TopUpOutcome, TopUpRequest};
pub use migrations::{ACCEPTED_URLS, Address, AddressError};
pub use outbox::{ClaimToken, ClaimedEvent, Lane};
pub use readiness::Readiness;
