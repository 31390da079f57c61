//! The tables as sea-orm sees them. Columns that the database fills by default are left unset on insert.
#![expect(unreachable_pub, reason = "the entity derive writes public items")]

pub(crate) mod api_key;
pub(crate) mod callback_attempt;
pub(crate) mod callback_endpoint;
pub(crate) mod callback_event;
pub(crate) mod customer_sender;
pub(crate) mod idempotency_key;
pub(crate) mod message_detail;
pub(crate) mod message_status;
pub(crate) mod operator_message;
pub(crate) mod outbox_event;
pub(crate) mod receipt;
pub(crate) mod sweep_progress;
pub(crate) mod user_balance;
pub(crate) mod user_transaction;
