//! The loop: wait for a broker and room in its queue, claim, publish, record; idle until a signal or the next poll.

use std::time::Duration;

use domain::{Lane, RetrySchedule};
use persistence::Database;
use rand::RngExt as _;
use telemetry::names;
use tokio_util::sync::CancellationToken;

use crate::{claim::Claim, gate::Gate, publish::Publish, settings::RelayConfig, wake::Wake};

/// Pauses while the database is away.
const DATABASE_PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(5));

/// Pause after a batch that the broker did not answer for.
const BROKER_PAUSE: Duration = Duration::from_millis(500);

/// What one claimer works on, and with.
pub(crate) struct Claimer {
    pub(crate) lane: Lane,
    pub(crate) config: RelayConfig,
    pub(crate) database: Database,
    pub(crate) publish: Publish,
    pub(crate) gate: Gate,
    pub(crate) wake: Wake,
}

impl Claimer {
    /// Works until `stop`; a batch in hand is finished first, because it is awaited outside of any `select`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (mut failures, mut idle_rounds) = (0, 0);
        loop {
            if stop.run_until_cancelled(self.database.migrated()).await.is_none() {
                return;
            }
            // Without a broker nothing is claimed: being down costs no event a try.
            if stop.run_until_cancelled(self.publish.ready()).await.is_none() {
                return;
            }
            if stop.run_until_cancelled(self.gate.open(self.lane)).await.is_none() {
                return;
            }
            let pause = match Claim::of(&self.database, self.lane, self.config.batch, self.config.lease).await {
                Ok(Some(claim)) => {
                    (failures, idle_rounds) = (0, 0);
                    let events = claim.events().len();
                    record_batch(self.lane, events);
                    let answered = self.publish.publish(claim, self.config.lease, &stop).await;
                    match (answered, events as u64 == self.config.batch) {
                        (false, _) => BROKER_PAUSE,
                        (true, true) => Duration::ZERO,
                        (true, false) => self.idle_pause(idle_rounds),
                    }
                }
                Ok(None) => {
                    (failures, idle_rounds) = (0, idle_rounds + 1);
                    self.idle_pause(idle_rounds)
                }
                Err(error) => {
                    tracing::warn!(
                        outage = "database",
                        error = error.with_cause(),
                        lane = self.lane.as_str(),
                        "claiming failed, trying again"
                    );
                    failures += 1;
                    DATABASE_PAUSES.delay(failures, &mut rand::rng()).unwrap_or(self.config.poll)
                }
            };
            if stop.is_cancelled() {
                return;
            }
            if !pause.is_zero() && stop.run_until_cancelled(self.wait(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn wait(&self, pause: Duration) {
        // The signal may be lost or late; the poll finds what waits all the same.
        drop(tokio::time::timeout(pause, self.wake.of(self.lane).notified()).await);
    }

    /// The poll interval, up to four times as long when there is nothing to do, and never in step with others.
    fn idle_pause(&self, idle_rounds: u32) -> Duration {
        let full = self.config.poll * 2u32.pow(idle_rounds.min(2));
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

fn record_batch(lane: Lane, events: usize) {
    metrics::histogram!(names::BATCH_SIZE, names::label::LANE => format!("relay_{}", lane.as_str()))
        .record(events as f64);
}
