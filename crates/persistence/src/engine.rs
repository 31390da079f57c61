//! What every operation runs on: connections, transactions, errors, and the ways to build statements. No rule of the
//! business and no table.

mod cause;
pub(crate) mod clock;
mod config;
mod count;
mod database;
pub(crate) mod dialect;
mod error;
mod nodelay;
mod pool;
mod query;
mod reach;
mod readiness;
mod schema;
mod session;
pub(crate) mod sql;
pub(crate) mod statements;
mod step;
mod transaction;
mod warm;

pub use config::DatabaseConfig;
pub(crate) use count::count_up_to;
pub use database::Database;
pub use error::Error;
pub use nodelay::tcp_nodelay_to;
pub use pool::HELD_AT_MOST;
pub use query::Query;
pub use readiness::Readiness;
pub(crate) use session::{Session, Tx};
pub(crate) use step::StepError;
pub(crate) use transaction::{Tries, reading, transaction};
