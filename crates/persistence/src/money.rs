//! Balances, the ledger, refunds, and the keys that keep a charge from being made twice.

mod audit;
pub(crate) mod credits;
pub(crate) mod idempotency;
pub(crate) mod ledger;
pub(crate) mod refund;

pub use audit::LedgerSlice;
pub use idempotency::{IdempotentRequest, Route};
pub use ledger::{LedgerEntry, TopUpOutcome, TopUpRequest};
