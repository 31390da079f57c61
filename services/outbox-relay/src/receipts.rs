//! Housekeeping of receipts: joins those that missed their messages, and gives up waiting for those that do not come.

use std::time::Duration;

use persistence::{Database, Error, ParkedPage, ParkedPlace};
use rand::RngExt as _;
use telemetry::names;
use tokio_util::sync::CancellationToken;

use crate::sweeper::report;

/// How often it looks: so late is a receipt at most that was stored at the same moment as its message.
const ROUND: Duration = Duration::from_secs(5);
/// Pages of older receipts that wait which a round looks at, and most of the newest while they find their messages.
const PAGES: u32 = 10;
const MOST_PAGES: u32 = 100;
/// Receipts that wait are counted up to here.
const COUNT_UP_TO: u64 = 100_000;
/// Transactions of one round that give up waiting; the rest is left for the next.
const GIVE_UP_ROUNDS: u32 = 100;

pub(crate) async fn run(database: Database, stop: CancellationToken) {
    let mut older = None;
    loop {
        // Replicas must not look all at once.
        let pause = ROUND.mul_f64(rand::rng().random_range(0.7..=1.0));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        if stop.run_until_cancelled(database.migrated()).await.is_none() {
            return;
        }
        report("joining receipts with their messages", join(&database, &mut older, &stop).await);
        report("giving up receipts that did not come", give_up(&database, &stop).await);
        report("counting receipts that wait", count(&database).await);
    }
}

/// The newest in each round, for these have just missed their messages, and on from there while some have them; the older ones a few
/// pages at a time.
async fn join(database: &Database, older: &mut Option<ParkedPlace>, stop: &CancellationToken) -> Result<(), Error> {
    let (mut late, mut place) = (0, None);
    for _ in 0..MOST_PAGES {
        let ParkedPage { joined, next } = database.join_parked(place).await?;
        late += joined;
        place = next;
        if place.is_none() || joined == 0 || stop.is_cancelled() {
            break;
        }
    }
    let mut from = older.take().or(place);
    for _ in 0..PAGES {
        let Some(place) = from.filter(|_| !stop.is_cancelled()) else { break };
        let page = database.join_parked(Some(place)).await?;
        late += page.joined;
        from = page.next;
    }
    *older = from;
    if late > 0 {
        tracing::info!(receipts = late, "receipts had missed their messages and have them now");
    }
    Ok(())
}

async fn give_up(database: &Database, stop: &CancellationToken) -> Result<(), Error> {
    for _ in 0..GIVE_UP_ROUNDS {
        let done = database.give_up_receipts().await? + database.orphan_receipts().await?;
        if done == 0 || stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}

async fn count(database: &Database) -> Result<(), Error> {
    let parked = database.parked_receipts(COUNT_UP_TO).await?;
    metrics::gauge!(names::RECEIPTS_PARKED).set(parked as f64);
    Ok(())
}
