//! The loop: wait for a broker, claim, publish, record; idle until a signal or the next poll.

use std::time::Duration;

use domain::RetrySchedule;
use persistence::{ClaimToken, Database, Lane};
use rand::RngExt as _;
use telemetry::names;
use tokio_util::sync::CancellationToken;

use crate::{publish::Publish, settings::RelayConfig, wake::Wake};

/// Pauses while the database is away.
const DATABASE_PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(5));

/// Pause after a batch that the broker did not answer for.
const BROKER_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Claimer {
    lane: Lane,
    config: RelayConfig,
    database: Database,
    publish: Publish,
    wake: Wake,
}

impl Claimer {
    pub(crate) fn new(lane: Lane, config: RelayConfig, database: Database, publish: Publish, wake: Wake) -> Self {
        Self { lane, config, database, publish, wake }
    }

    /// Works until `stop`; a batch in hand is finished first, because it is awaited outside of any `select`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            // Without a broker nothing is claimed: being down costs no event a try.
            if stop.run_until_cancelled(self.publish.ready()).await.is_none() {
                return;
            }
            let token = ClaimToken::unique();
            let claim = self.database.claim_events(self.lane, self.config.batch, self.config.lease, &token).await;
            let pause = match claim {
                Ok(events) => {
                    failures = 0;
                    let is_full = events.len() as u64 == self.config.batch;
                    let mut answered = true;
                    if !events.is_empty() {
                        record_batch(self.lane, events.len());
                        answered = self.publish.publish(events, &token, self.config.lease, &stop).await;
                    }
                    match (answered, is_full) {
                        (false, _) => BROKER_PAUSE,
                        (true, true) => Duration::ZERO,
                        (true, false) => self.idle_pause(),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, lane = self.lane.as_str(), "claiming failed, trying again");
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

    /// Between half and the whole of the poll interval, so that claimers do not march in step.
    fn idle_pause(&self) -> Duration {
        self.config.poll.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

fn record_batch(lane: Lane, events: usize) {
    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    metrics::histogram!(names::BATCH_SIZE, names::label::LANE => format!("relay_{}", lane.as_str()))
        .record(events as f64);
}
