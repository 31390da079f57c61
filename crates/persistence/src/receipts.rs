//! Delivery receipts: kept as they come, joined with the messages that they are about, and waited for no longer than a while.
//!
//! A receipt may come before its message was recorded as accepted. Whoever records that inserts the operator's ids and then looks for
//! receipts that wait; whoever takes a receipt stores it and then looks for ids. Neither sees what the other has not committed, so both
//! may miss each other: a sweeper joins what was missed ([`Database::join_parked`](crate::Database::join_parked)).
//!
//! Locks are taken in one order: messages, then receipts, then balances (where a receipt gives money back).

mod apply;
mod candidates;
mod matching;
mod meters;
mod parked;
mod parts;
mod sweep;
mod take;

pub(crate) use matching::join;
pub(crate) use meters::Tally;
pub(crate) use parked::waiting_for;
pub use sweep::{ParkedPage, ParkedPlace};
pub use take::{NewReceipt, Received};
