//! What a test needs around a relay: a database in a file, a broker in this process, and a view of both.

mod closed_port;
mod fixture;
mod queue;
mod sql;

pub(crate) use closed_port::ClosedPort;
pub(crate) use fixture::{CUSTOMER, Fixture, PRICE, Relay, config, express, message, topology};
pub(crate) use queue::Queue;
pub(crate) use sql::Sql;

use std::time::Duration;

use test_support::wait_until;

/// Far longer than anything here takes; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    wait_until(DEADLINE, what, async || condition().await.then_some(())).await;
}

/// The value, or a failure where it does not come.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Lets `time` pass for every timer of this runtime. The database's clock and its threads do not notice.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
