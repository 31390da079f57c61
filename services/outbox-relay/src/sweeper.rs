//! Housekeeping: rescues expired claims, promotes due retries, finds stuck messages, measures the backlog, deletes what is old.

use std::time::Duration;

use domain::Lane;
use persistence::{Database, Error, Promoted, Search};
use rand::RngExt as _;
use telemetry::names;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    settings::RelayConfig,
    unknown_kinds::{self, UnknownKinds},
};

/// How often it looks; this bounds how late a rescue or a retry is.
const ROUND: Duration = Duration::from_secs(1);
/// How often it looks for stuck messages and deletes old rows.
const SLOW_ROUND: Duration = Duration::from_mins(1);
/// Rounds of deletion at a time; the rest is left for the next minute.
const PURGE_ROUNDS: u32 = 100;
/// Transactions that put off events of an unknown kind in one round: half a million a minute in all.
const PUT_OFF_ROUNDS: u32 = 20;
/// The backlog of each lane is counted up to here.
const COUNT_UP_TO: u64 = 100_000;
/// Counting a large backlog takes long; it rests so many times as long, so that it takes 5 % of one connection's time.
const REST_AFTER_COUNT: u32 = 20;
/// What it rests at most, however slow the database is.
const LONGEST_REST: Duration = Duration::from_secs(10);

pub(crate) async fn run(config: RelayConfig, database: Database, unknown_kinds: UnknownKinds, stop: CancellationToken) {
    let mut swept_slowly = Instant::now();
    let mut measure_from = Instant::now();
    // A search of many events goes on in the next round.
    let mut goes_on_searching = false;
    loop {
        // Replicas must not look all at once.
        let pause = ROUND.mul_f64(rand::rng().random_range(0.7..=1.0));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        if stop.run_until_cancelled(database.migrated()).await.is_none() {
            return;
        }
        report("rescuing expired claims", rescue(&database).await);
        report("promoting due retries", promote(&database, &stop).await);
        let again = put_off_again(&database, &unknown_kinds, &stop).await;
        report("putting off events of an unknown kind", again);
        let round = Instant::now();
        if round >= measure_from {
            report("measuring the backlog", measure(&database).await);
            measure_from = round + (round.elapsed() * REST_AFTER_COUNT).min(LONGEST_REST);
        }
        let is_slow_round = swept_slowly.elapsed() >= SLOW_ROUND;
        if is_slow_round || goes_on_searching {
            let searched = republish(&database, config.republish_after).await;
            goes_on_searching = matches!(searched, Ok(false));
            report("looking for stuck messages", searched.map(drop));
        }
        if is_slow_round {
            swept_slowly = Instant::now();
            report("deleting old rows", purge(&database, config.retention, &stop).await);
        }
    }
}

async fn rescue(database: &Database) -> Result<(), Error> {
    loop {
        let rescued = database.rescue_expired_claims().await?;
        if rescued == 0 {
            return Ok(());
        }
        tracing::warn!(outage = "relay", events = rescued, "claims had expired; their events are published again");
    }
}

async fn promote(database: &Database, stop: &CancellationToken) -> Result<(), Error> {
    while database.promote_due_events().await? > 0 && !stop.is_cancelled() {}
    Ok(())
}

/// After all others, and only so many in a round: there may be any number of them, every minute.
async fn put_off_again(database: &Database, unknown: &UnknownKinds, stop: &CancellationToken) -> Result<(), Error> {
    let mut kinds = Vec::new();
    for _ in 0..PUT_OFF_ROUNDS {
        let Promoted { claimable, unknown_kinds } = database.promote_out_of_line(unknown_kinds::PUT_OFF).await?;
        let is_done = claimable == 0 && unknown_kinds.is_empty();
        kinds.extend(unknown_kinds);
        if is_done || stop.is_cancelled() {
            break;
        }
    }
    unknown.note(kinds.iter().map(String::as_str), Instant::now());
    Ok(())
}

async fn measure(database: &Database) -> Result<(), Error> {
    let mut total = 0;
    for lane in Lane::ALL {
        let oldest = database.oldest_waiting(lane, COUNT_UP_TO).await?;
        metrics::gauge!(names::OUTBOX_OLDEST_AGE_SECONDS, names::label::LANE => lane.as_str())
            .set(oldest.as_secs_f64());
        let pending = database.pending_events(lane, COUNT_UP_TO).await?;
        metrics::gauge!(names::OUTBOX_PENDING_EVENTS, names::label::LANE => lane.as_str()).set(pending as f64);
        total += pending;
    }
    metrics::gauge!(names::CURRENT_OUTBOX_PENDING_EVENTS).set(total as f64);
    Ok(())
}

/// Tells whether it looked at all there is.
async fn republish(database: &Database, after: Duration) -> Result<bool, Error> {
    let Search { republished, is_done } = database.republish_stuck(after).await?;
    if republished > 0 {
        tracing::warn!(events = republished, "messages were unfinished for too long; they are published again");
    }
    Ok(is_done)
}

async fn purge(database: &Database, retention: Duration, stop: &CancellationToken) -> Result<(), Error> {
    for _ in 0..PURGE_ROUNDS {
        let deleted = database.purge_processed_events(retention).await?
            + database.purge_idempotency_keys().await?
            + database.purge_operator_messages().await?
            + database.purge_receipts().await?;
        if deleted == 0 || stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}

pub(crate) fn report(doing: &str, result: Result<(), Error>) {
    if let Err(error) = result {
        let error = error.with_cause();
        tracing::warn!(outage = "database", error, doing, "housekeeping failed, trying again");
    }
}
