//! The REST API: checks, charges, stores, answers. Delivery is somebody else's: what is answered with 200 is in
//! the database, with its outbox event, and will be delivered or refunded.

mod accept;
mod application;
mod authentication;
mod backlog;
mod backpressure;
mod body;
mod callbacks;
mod caller;
mod content;
mod draft;
mod endpoint;
mod error;
mod idempotency;
mod invite;
mod keys;
mod limits;
mod observe;
mod openapi;
mod query;
mod rate;
mod receipts;
mod routes;
mod schemas;
mod series;
mod settings;
mod state;
mod time;
mod turns;
mod whole;

pub use self::settings::{Composition, LISTEN_ADDR, Senders, Settings};
pub use accept::OnAccepted;
pub use application::{BindError, Parts, start};
pub use backpressure::signal::Thresholds;
pub use endpoint::Endpoint;
pub use rate::Rate;
pub use routes::endpoints;

use std::time::Duration;

/// How long one operation on the database may take: a client is answered within a second, whatever happens.
pub const DATABASE_TIMEOUT: Duration = Duration::from_millis(900);
