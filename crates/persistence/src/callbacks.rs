//! Callbacks: the endpoints of customers, and what is to be told to each.
//!
//! An event is stored for each endpoint in the transaction of the change that it tells of, as the very text that is signed and sent.
//! Relays claim what is due by endpoint, under leases; a paused or disabled endpoint is passed over, whatever waits for it.
//!
//! Locks are taken in one order: messages, receipts, events, endpoints. Storing an event locks nothing that anybody waits for.

mod attempts;
mod claims;
mod emit;
mod endpoints;
mod events;
mod health;
mod lag;
mod orphans;
mod payload;
mod record;
mod requests;
mod subscribers;
mod sweep;

pub use attempts::CallbackAttempt;
pub use claims::{ClaimedCallback, DueEndpoint};
pub(crate) use emit::{Change, emit};
pub use endpoints::{CallbackEndpoint, EndpointChange, EndpointCreated, MAX_ENDPOINTS, NewEndpoint};
pub use events::{CallbackEvent, CallbackFilter};
pub use lag::CallbackLags;
pub use orphans::CallbackPlace;
pub use record::{CallbackEnd, CallbackRecord, Recorded};
pub use requests::Resent;
