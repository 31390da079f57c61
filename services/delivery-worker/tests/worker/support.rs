//! What a test needs around a worker: a database in a file, a broker in this process, operators, and a view of all three.

mod fixture;
mod held;
mod sql;

pub(crate) use fixture::{Fixture, PRICE, config, express, message, operators};
pub(crate) use held::{Held, Reply};
pub(crate) use sql::Sql;

use std::time::Duration;

use test_support::wait_until;

/// Far longer than anything here takes; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    wait_until(DEADLINE, what, async || condition().await.then_some(())).await;
}
