//! Who may use the API, and as whom.

mod keys;
mod senders;

pub use keys::{Issued, KeyStanding, KeyUse, MAX_LIVE_KEYS, NewKey, RotatedFrom, Rotation, StoredKey};
pub use senders::RegisteredSender;
