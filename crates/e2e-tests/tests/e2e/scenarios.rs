//! What is done to the platform, and what must hold all the same. One scenario a test, none knows of another.

mod callbacks;
mod delivery;
mod exported;
mod failover_crashes;
mod fairness;
mod full_disk;
mod kills;
mod logs;
mod outages;
mod poison;
mod readiness;
pub(crate) mod receipts;
mod redelivery;
mod relay_crashes;
mod releases;
mod replicas;
mod seeding;
mod shutdown;
mod smpp;
mod starts;
mod tenants;
mod timed;
mod traces;
mod unknown;
mod worker_crashes;

use test_support::{ServiceProcess, wait_until};

use crate::{
    client::HistoryRow,
    platform::{Observed as _, SETTLED},
};

/// Status and provider of each recipient, in the order given.
fn outcomes(rows: &[HistoryRow]) -> Vec<(&str, &str, &str)> {
    rows.iter().map(|row| (row.recipient.as_str(), row.status.as_str(), row.provider.as_str())).collect()
}

/// Waits until the service answers with this status and says this of the dependency.
async fn wait_readiness(service: &ServiceProcess, status: u16, dependency: &str, state: &str) {
    wait_until(SETTLED, &format!("{status} with {dependency} {state}"), async || {
        let (now, body) = service.readiness().await?;
        (now == status && body["dependencies"][dependency] == state).then_some(())
    })
    .await;
}
