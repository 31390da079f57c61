//! The REST API: checks, charges, stores, answers. Delivery is somebody else's: what is answered with 200 is in
//! the database, with its outbox event, and will be delivered or refunded.

mod accept;
mod application;
mod backlog;
mod backpressure;
mod body;
mod content;
mod error;
mod idempotency;
mod invite;
mod limits;
mod observe;
mod openapi;
mod query;
mod rate;
mod routes;
mod schemas;
mod series;
mod settings;
mod state;
mod time;
mod turns;
mod whole;

pub use accept::OnAccepted;
pub use application::{BindError, Parts, start};
pub use backpressure::signal::Thresholds;
pub use rate::Rate;
pub use routes::{Endpoint, endpoints};
pub use settings::{LISTEN_ADDR, Settings};

use std::time::Duration;

use persistence::DatabaseConfig;

/// How long one operation on the database may take: a client is answered within a second, whatever happens.
pub const DATABASE_TIMEOUT: Duration = Duration::from_millis(900);

/// The pool as the settings ask for it.
pub fn database_config(settings: &Settings) -> DatabaseConfig {
    DatabaseConfig {
        url: settings.database.url.clone(),
        max_connections: settings.database.max_open_connections,
        max_lifetime: settings.database.max_lifetime,
        operation_timeout: DATABASE_TIMEOUT,
    }
}
