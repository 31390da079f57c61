//! The loop: wait for a broker and room in its queue, claim, publish, record; idle until a signal or the next poll.

use std::{pin::pin, sync::Arc, time::Duration};

use domain::{Lane, RetrySchedule};
use persistence::Database;
use rand::RngExt as _;
use telemetry::names;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    claim::Claim,
    gate::Gate,
    publish::{Done, Publish},
    settings::RelayConfig,
    wake::Wake,
};

/// Pauses while the database is away.
const DATABASE_PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(5));

/// Pause after a batch that the broker did not answer for.
const BROKER_PAUSE: Duration = Duration::from_millis(500);

/// Publishing a claim that takes longer than this, and than the lane's poll interval, keeps nobody from looking for other events.
const SLOW: Duration = Duration::from_millis(100);

/// The right to look for events of a lane: while little waits one claimer has it and does all the work, in few large batches. It is given
/// up where a claim is full or takes long to publish.
#[derive(Clone)]
pub(crate) struct Lookout(Arc<Semaphore>);

impl Lookout {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    async fn take(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.0).acquire_owned().await.expect("nobody closes it")
    }
}

/// What one claimer works on, and with.
pub(crate) struct Claimer {
    pub(crate) lane: Lane,
    pub(crate) lookout: Lookout,
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
            let Some(lookout) = stop.run_until_cancelled(self.time_to_look()).await else { return };
            let mut lookout = Some(lookout);
            let began = Instant::now();
            let claim = Claim::of(&self.database, self.lane, &self.config, idle_rounds > 0).await;
            let pause = match claim {
                Ok(Some(claim)) => {
                    idle_rounds = 0;
                    let events = claim.events().len();
                    record_batch(self.lane, events);
                    let is_full = events as u64 == self.config.batch;
                    if is_full {
                        // There is work for another one meanwhile.
                        lookout = None;
                    }
                    let mut publishing = pin!(self.publish.publish(claim, self.config.lease, &stop));
                    let done = if let Ok(done) = timeout(self.poll().max(SLOW), publishing.as_mut()).await {
                        done
                    } else {
                        lookout = None;
                        publishing.await
                    };
                    failures = if done == Done::Unrecorded { failures + 1 } else { 0 };
                    match done {
                        Done::Unrecorded => self.pause_after(failures),
                        Done::Unanswered => BROKER_PAUSE,
                        Done::All if lookout.is_none() => Duration::ZERO,
                        Done::All => self.poll().saturating_sub(began.elapsed()),
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
                    self.pause_after(failures)
                }
            };
            // Who stops meanwhile finds out at the next look. Signals are for who has the lookout.
            if lookout.is_some() && !pause.is_zero() {
                stop.run_until_cancelled(self.wait(pause)).await.unwrap_or_default();
            } else if !pause.is_zero() {
                stop.run_until_cancelled(sleep(pause)).await.unwrap_or_default();
            }
            drop(lookout);
        }
    }

    /// The lane's lookout, once there is a schema to work on, a broker, and room in the queue. Without a broker nothing is claimed: being
    /// down costs no event a try.
    async fn time_to_look(&self) -> OwnedSemaphorePermit {
        let lookout = self.lookout.take().await;
        self.database.migrated().await;
        self.publish.ready().await;
        self.gate.open(self.lane).await;
        lookout
    }

    fn pause_after(&self, failures: u32) -> Duration {
        DATABASE_PAUSES.delay(failures, &mut rand::rng()).unwrap_or(self.poll())
    }

    fn poll(&self) -> Duration {
        self.config.poll[self.lane]
    }

    async fn wait(&self, pause: Duration) {
        // The signal may be lost or late; the poll finds what waits all the same.
        drop(timeout(pause, self.wake.of(self.lane).notified()).await);
    }

    /// The poll interval, up to four times as long when there is nothing to do, and never in step with others.
    fn idle_pause(&self, idle_rounds: u32) -> Duration {
        let full = self.poll() * 2u32.pow(idle_rounds.min(2));
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

fn record_batch(lane: Lane, events: usize) {
    metrics::histogram!(names::BATCH_SIZE, names::label::LANE => format!("relay_{}", lane.as_str()))
        .record(events as f64);
}
