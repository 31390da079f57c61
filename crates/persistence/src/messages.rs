//! A message from its acceptance to its end, and the list of them.

mod accept;
mod delivery;
mod history;

pub use accept::{AcceptOutcome, AcceptRequest};
pub use delivery::{Begin, BeginRequest, ClaimedRecipient, Deferred, Outcome, Settlement};
pub use history::{HistoryEntry, HistoryFilter};
