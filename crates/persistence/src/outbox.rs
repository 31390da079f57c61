//! The outbox: events that wait to be published, their claims, and what keeps them moving.

mod backlog;
mod claims;
mod failure;
mod held;
mod housekeeping;
mod recovery;
mod rows;
mod scheduled;
mod stuck;

pub use claims::{ClaimToken, ClaimedEvent, EventContent, OutboxEventId};
pub use held::{Held, HeldOutcome};
pub use housekeeping::Promoted;
pub use scheduled::Promotion;
pub use stuck::Search;
