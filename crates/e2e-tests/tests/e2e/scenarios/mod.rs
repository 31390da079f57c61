//! What is done to the platform, and what must hold all the same. One scenario a test, none knows of another.

mod delivery;
mod exported;
mod fairness;
mod full_disk;
mod kills;
mod logs;
mod outages;
mod poison;
mod redelivery;
mod relay_crashes;
mod replicas;
mod seeding;
mod shutdown;
mod traces;
mod unknown;
mod worker_crashes;

use crate::client::HistoryRow;

/// Status and provider of each recipient, in the order given.
fn outcomes(rows: &[HistoryRow]) -> Vec<(&str, &str, &str)> {
    rows.iter().map(|row| (row.recipient.as_str(), row.status.as_str(), row.provider.as_str())).collect()
}
