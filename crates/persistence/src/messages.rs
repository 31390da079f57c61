//! A message from its acceptance to its end, and the list of them.

mod accept;
mod delivery;
mod history;
mod settle;
mod states;
mod take;

pub use accept::{AcceptOutcome, AcceptRequest};
pub use delivery::{Begin, BeginRequest, ClaimedRecipient, Deferred, Outcome, Settlement};
pub use history::{HistoryEntry, HistoryFilter};
pub use states::{StateWrite, StateWritten};
