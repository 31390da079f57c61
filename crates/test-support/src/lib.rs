//! Real databases and brokers for tests, and the means to break them on purpose.
//!
//! Everything started here ends with the process that started it, even when that one is killed with -9
//! (see [`guarded`]), and nothing here touches a server it did not start.

pub mod guarded;
pub mod http;
pub mod provision;

mod counted;
mod fault_proxy;
mod lifeline;
mod names;
mod port;
mod process;
mod receiver;
mod service_process;
mod sessions;
mod small_disk;
mod sql;
mod sqlite;
mod suite;
mod test_database;
mod wait;

pub use counted::Counted;
pub use fault_proxy::FaultProxy;
pub use names::{Names, names};
pub use port::{free_address, free_port, is_free};
pub use process::{Process, binary};
pub use receiver::{Received, Receiver};
pub use service_process::ServiceProcess;
pub use sessions::{IS_MARIADB, sessions};
pub use small_disk::SmallDisk;
pub use sql::create_database;
pub use sqlite::SqliteFile;
pub use test_database::TestDatabase;
pub use wait::wait_until;

/// The database server that the tests share: `mysql://user:password@host:port`, an account that may create databases and users.
///
/// # Panics
///
/// When `TEST_DATABASE_URL` is not set.
pub fn database_url() -> String {
    required("TEST_DATABASE_URL")
}

/// The RabbitMQ server that the tests share: `amqp://user:password@host:port`.
///
/// # Panics
///
/// When `TEST_RABBIT_URI` is not set.
pub fn rabbit_uri() -> String {
    required("TEST_RABBIT_URI")
}

fn required(name: &str) -> String {
    variable(name).unwrap_or_else(|| panic!("set {name} or run the tests with `cargo xtask test`"))
}

/// An environment variable; an empty one counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "tests and tools have no settings loader: this is their only reading place"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
