//! Messages that wait for their time: made claimable when it has come, but for as long as much waits in their lane already.
//!
//! A million that fall due at once wait where they cost nothing: what is pending counts for the gateways' backpressure, and new messages
//! would be refused for what was accepted long ago.

use std::time::Duration;

use domain::Lane;
use persistence::{Database, Error, Promotion};
use rand::RngExt as _;
use telemetry::names::{self, label};
use tokio_util::sync::CancellationToken;

use crate::{sweeper::report, wake::Wake};

/// How often it looks: so late is a message at most, while little falls due.
const ROUND: Duration = Duration::from_millis(500);
/// Transactions of one lane in a round, so that the other one comes to its turn.
const ROUNDS: u32 = 50;

/// Promotes until `stop`. `most_pending` events may wait in a lane beside what falls due.
pub(crate) async fn run(database: Database, most_pending: u64, wake: Wake, stop: CancellationToken) {
    let mut promotions = Lane::ALL.map(Promotion::of);
    loop {
        let pause = ROUND.mul_f64(rand::rng().random_range(0.7..=1.0));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        if stop.run_until_cancelled(database.migrated()).await.is_none() {
            return;
        }
        for promotion in &mut promotions {
            report("promoting scheduled messages", promote(&database, promotion, most_pending, &wake, &stop).await);
        }
    }
}

async fn promote(
    database: &Database,
    promotion: &mut Promotion,
    most_pending: u64,
    wake: &Wake,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let lane = promotion.lane();
    let lag = database.scheduled_lag(lane).await?;
    let oldest = lag.unwrap_or_default().as_secs_f64();
    metrics::gauge!(names::OUTBOX_SCHEDULED_LAG_SECONDS, label::LANE => lane.as_str()).set(oldest);
    if lag.is_none() {
        return Ok(());
    }
    for _ in 0..ROUNDS {
        let is_full = database.pending_events(lane, most_pending + 1).await? > most_pending;
        if is_full || stop.is_cancelled() || database.promote_scheduled(promotion).await? == 0 {
            break;
        }
        wake.signal(lane);
    }
    Ok(())
}
