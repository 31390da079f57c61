//! What a claim costs while many events wait: the relay's own operations, on an outbox that is filled for it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::Lane;
use persistence::{Database, HeldOutcome};
use serde::{Deserialize, Serialize};

use crate::{Destinations, Load, ServerProcess, Traffic, seed_database, store, waiting::Filler};

/// Events of one claim: what a relay takes at most (`RELAY_BATCH`).
pub const CLAIM_BATCH: u64 = 200;
/// Claims that are measured at each size.
const CLAIMS: usize = 51;
/// Connections to store events over.
const CONNECTIONS: u32 = 5;
/// Credits for each user: more than a million messages cost.
const BALANCE: i64 = 1_000_000_000;
/// How long it is waited until the server has written what was stored before, at most.
const QUIET_WITHIN: Duration = Duration::from_secs(30);
/// The server is quiet when it takes less than a tenth of a core for so long.
const QUIET_FOR: Duration = Duration::from_millis(500);

/// What claims cost with so many events waiting behind them. Medians of several claims of [`CLAIM_BATCH`] events.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClaimCost {
    /// Events that wait beyond those that are claimed.
    pub waiting: u64,
    /// Claims that were measured.
    pub claims: usize,
    /// Milliseconds until a batch is held.
    pub hold_ms: f64,
    /// Milliseconds from there until it is recorded as published and let go.
    pub record_ms: f64,
    /// The database server's CPU time for both, in microseconds for each event, where it is known.
    pub database_cpu_us: Option<f64>,
}

impl ClaimCost {
    /// Milliseconds of a claim with its record.
    pub fn total_ms(&self) -> f64 {
        self.hold_ms + self.record_ms
    }
}

/// Fills the outbox to each of these sizes, from the smallest on, and measures claims there. Makes tables, and balances,
/// where they are missing. `progress` is told what is being done.
///
/// # Errors
/// When the database refuses, or events wait there already.
pub async fn measure_claims(
    database_url: &str,
    load: &Load,
    sizes: &[u64],
    progress: impl Fn(String),
) -> anyhow::Result<Vec<ClaimCost>> {
    let database = store::open(database_url, CONNECTIONS).await?;
    database.migrate().await.context("making the tables")?;
    ensure!(!database.has_waiting(Lane::Normal).await?, "events wait in this outbox already: use an empty database");
    progress(format!("adding balances of {} users", load.users));
    seed_database(database_url, load.users, BALANCE).await?;
    let traffic = Traffic::of(&Load { express_ratio: 0.0, recipients: 1, ..*load });
    let mut filler = Filler::new(database.clone(), traffic, Destinations::default());
    let server = ServerProcess::of(database_url);
    let (mut sizes, mut stored, mut costs) = (sizes.to_vec(), 0, Vec::new());
    sizes.sort_unstable();
    sizes.dedup();
    for waiting in sizes {
        filler
            .add(waiting - stored, |more| {
                if (stored + more).is_multiple_of(FILL_STEP) {
                    progress(format!("{} of {waiting} events wait", stored + more));
                }
            })
            .await?;
        stored = waiting;
        quiet(server.as_ref()).await;
        let cost = measure(&database, &mut filler, server.as_ref(), waiting).await?;
        progress(format!("{waiting} waiting: a claim of {CLAIM_BATCH} takes {:.1} ms", cost.total_ms()));
        costs.push(cost);
    }
    database.close().await;
    Ok(costs)
}

/// Progress is told each time so many more are stored.
const FILL_STEP: u64 = 50_000;

async fn measure(
    database: &Database,
    filler: &mut Filler,
    server: Option<&ServerProcess>,
    waiting: u64,
) -> anyhow::Result<ClaimCost> {
    let cpu = || server.and_then(ServerProcess::cpu_of_threads);
    let (mut hold, mut record, mut spent) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CLAIMS {
        // As many as are claimed, so that the same number waits each time.
        filler.add(CLAIM_BATCH, |_| {}).await?;
        let cpu_before = cpu();
        let begun = Instant::now();
        let held = database.hold_events(Lane::Normal, CLAIM_BATCH).await?.context("nothing waits")?;
        let held_at = Instant::now();
        let published: Vec<_> = held.events().iter().map(|event| event.id).collect();
        ensure!(published.len() as u64 == CLAIM_BATCH, "a claim got {} of {CLAIM_BATCH} events", published.len());
        held.record(database, &HeldOutcome { published, ..HeldOutcome::default() }).await?;
        record.push(held_at.elapsed());
        hold.push(held_at - begun);
        spent.extend(cpu().zip(cpu_before).map(|(now, before)| now.saturating_sub(before)));
    }
    let millis = |times| median(times).map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    Ok(ClaimCost {
        waiting,
        claims: CLAIMS,
        hold_ms: millis(hold),
        record_ms: millis(record),
        database_cpu_us: median(spent).map(|time| time.as_secs_f64() * 1e6 / CLAIM_BATCH as f64),
    })
}

/// Waits until the server has nothing to do any more, where that can be seen.
async fn quiet(server: Option<&ServerProcess>) {
    let end = Instant::now() + QUIET_WITHIN;
    while let Some(before) = server.and_then(ServerProcess::cpu).filter(|_| Instant::now() < end) {
        tokio::time::sleep(QUIET_FOR).await;
        let spent = server.and_then(ServerProcess::cpu).unwrap_or(before).saturating_sub(before);
        if spent * 10 < QUIET_FOR {
            return;
        }
    }
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_in_order() {
        let of = |millis: &[u64]| median(millis.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(of(&[9, 1, 5]), Some(Duration::from_millis(5)));
        assert_eq!(of(&[]), None);
    }
}
