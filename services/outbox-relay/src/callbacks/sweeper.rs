//! Housekeeping of callbacks: what relays left behind, what waited for too long, what is old.

use std::time::Duration;

use persistence::{CallbackLags, CallbackPlace, Database, Error};
use rand::RngExt as _;
use telemetry::names::{self, label};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::sweeper::report;

/// How often it looks for expired leases.
const ROUND: Duration = Duration::from_secs(5);
/// How often it looks for what is old, and counts what is due.
const SLOW_ROUND: Duration = Duration::from_mins(1);
/// How long a round works on one matter; the rest is left for the next.
const BUDGET: Duration = Duration::from_secs(20);
/// Looks for orphans of one slow round: 20,000 events that are due.
const LOOKS: u32 = 10;
/// How endpoints fare, for the metric.
pub(crate) const ENDPOINT_STATES: [&str; 3] = ["working", "failing", "disabled"];
/// Events that are due are counted up to here.
const COUNT_UP_TO: u64 = 10_000;

pub(super) async fn run(database: Database, stop: CancellationToken) {
    let mut swept_slowly = Instant::now();
    let mut orphans_behind = None;
    loop {
        // Replicas must not look all at once.
        let pause = ROUND.mul_f64(rand::rng().random_range(0.7..=1.0));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        if stop.run_until_cancelled(database.migrated()).await.is_none() {
            return;
        }
        report("rescuing callbacks", rescue(&database, &stop).await);
        report("measuring how long callbacks wait", measure(&database).await);
        if swept_slowly.elapsed() >= SLOW_ROUND {
            swept_slowly = Instant::now();
            report("counting callbacks that are due", count(&database).await);
            let swept = cancel_orphans(&database, &mut orphans_behind, &stop).await;
            report("cancelling callbacks of removed endpoints", swept);
            report("deleting old callbacks", clean(&database, &stop).await);
        }
    }
}

async fn rescue(database: &Database, stop: &CancellationToken) -> Result<(), Error> {
    let began = Instant::now();
    while began.elapsed() < BUDGET {
        let rescued = database.rescue_callbacks().await?;
        if rescued == 0 || stop.is_cancelled() {
            break;
        }
        tracing::warn!(outage = "relay", events = rescued, "claims had expired; their callbacks are sent again");
    }
    Ok(())
}

async fn count(database: &Database) -> Result<(), Error> {
    metrics::gauge!(names::CALLBACKS_DUE).set(database.due_callbacks(COUNT_UP_TO).await? as f64);
    Ok(())
}

async fn measure(database: &Database) -> Result<(), Error> {
    let CallbackLags { working, failing, disabled } = database.callback_lags().await?;
    for (state, lag) in ENDPOINT_STATES.into_iter().zip([working, failing, disabled]) {
        let seconds = lag.unwrap_or_default().as_secs_f64();
        metrics::gauge!(names::CALLBACK_LAG_SECONDS, label::STATE => state).set(seconds);
    }
    Ok(())
}

/// Goes on where the last round stopped, and from the beginning after the last event.
async fn cancel_orphans(
    database: &Database,
    behind: &mut Option<CallbackPlace>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    for _ in 0..LOOKS {
        let (cancelled, place) = database.cancel_orphaned_callbacks(*behind).await?;
        if cancelled > 0 {
            tracing::info!(events = cancelled, "callbacks of removed endpoints were cancelled");
        }
        *behind = place;
        if place.is_none() || stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}

async fn clean(database: &Database, stop: &CancellationToken) -> Result<(), Error> {
    let began = Instant::now();
    while began.elapsed() < BUDGET {
        let changed = database.expire_callbacks().await? + database.purge_callbacks().await?;
        if changed == 0 || stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}
