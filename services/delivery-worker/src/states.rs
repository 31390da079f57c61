//! Writing states: lanes that group what many messages need written into one transaction.
//!
//! A worker that cannot reach the database keeps what it holds and tries again, until it works or the worker stops.
//! Nothing is acknowledged meanwhile, so nothing is lost; when a lease runs out, another worker takes over.

use std::{sync::Arc, time::Duration};

use domain::{MessageId, RetrySchedule};
use persistence::{Begin, BeginRequest, ClaimedRecipient, Database, Deferred, Error, Settlement};
use service_kit::{
    Scope,
    batch::{LaneOptions, Lanes},
};
use tokio_util::sync::CancellationToken;

use crate::deliver::CHUNK;

/// Pauses while the database is away.
const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(2));
/// Pauses while the database refuses.
const REFUSED_PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_mins(1));

/// Recipients after which nothing more is added to a batch: with a last chunk it is one of 512, which SQLite's limit of
/// 1,000 nested terms still allows.
const BATCH_RECIPIENTS: usize = 512 - CHUNK;

/// The worker stops, or the schema does not fit it any more, before this could be written; the message goes back to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopping;

type Written<T> = Result<T, Failure>;

/// A batch's error, shared by its jobs.
#[derive(Debug, Clone)]
struct Failure {
    error: Arc<Error>,
}

/// The lanes, and the lease that everything is taken under.
#[derive(Clone)]
pub(crate) struct States {
    database: Database,
    begin: Lanes<BeginRequest, Written<Begin>>,
    settle: Lanes<Vec<Settlement>, Written<Vec<bool>>>,
    stop: CancellationToken,
}

impl States {
    pub(crate) fn start(database: &Database, lanes: usize, lease: Duration, scope: &Scope) -> Self {
        let options = |name| LaneOptions { name, lanes, queue: 4_096, batch_jobs: 256, batch_weight: BATCH_RECIPIENTS };
        let begin = {
            let database = database.clone();
            let work = move |batch: Vec<BeginRequest>| begin(database.clone(), batch, lease);
            Lanes::start(options("begin"), scope, |request: &BeginRequest| request.recipients.len(), work)
        };
        let settle = {
            let database = database.clone();
            let work = move |batch: Vec<Vec<Settlement>>| settle(database.clone(), batch);
            Lanes::start(options("settle"), scope, |settlements: &Vec<Settlement>| settlements.len(), work)
        };
        Self { database: database.clone(), begin, settle, stop: scope.stop.clone() }
    }

    /// Takes recipients under the lease.
    pub(crate) async fn begin(&self, key: u64, request: &BeginRequest) -> Result<Begin, Stopping> {
        self.until_written(|| async { flatten(self.begin.submit_waiting(key, request.clone()).await) }).await
    }

    /// Records outcomes, with their refunds. `false` where the lease was over.
    ///
    /// A stop does not end this: what an operator has answered is written down as long as the process lives.
    pub(crate) async fn settle(&self, key: u64, settlements: &[Settlement]) -> Result<Vec<bool>, Stopping> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        for retry in 0.. {
            match flatten(self.settle.submit_waiting(key, settlements.to_vec()).await) {
                Ok(recorded) => return Ok(recorded),
                Err(None) => break,
                Err(Some(failure)) => tokio::time::sleep(pause_after(&failure, retry)).await,
            }
        }
        Err(Stopping)
    }

    /// Puts recipients off whose outcome is not known.
    pub(crate) async fn defer(
        &self,
        message_id: &MessageId,
        recipients: &[ClaimedRecipient],
        delay: Duration,
    ) -> Result<Deferred, Stopping> {
        let defer = || async {
            let deferred = self.database.defer(message_id, recipients, delay).await;
            deferred.map_err(|error| Some(Failure { error: Arc::new(error) }))
        };
        self.until_written(defer).await
    }

    async fn until_written<T, F>(&self, write: impl Fn() -> F) -> Result<T, Stopping>
    where
        F: Future<Output = Result<T, Option<Failure>>>,
    {
        for retry in 0.. {
            let failure = match write().await {
                Ok(written) => return Ok(written),
                // A lane that stopped means the same as a stop.
                Err(None) => return Err(Stopping),
                Err(Some(failure)) => failure,
            };
            // No longer ours to write: another worker has a schema that it can work on.
            if !self.database.is_migrated() {
                return Err(Stopping);
            }
            let pause = pause_after(&failure, retry);
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err(Stopping);
            }
        }
        Err(Stopping)
    }
}

/// No error of the database is the message's fault: it is held and tried again, less often when the database does
/// answer but finds a mistake in what is asked of it (a schema that is not there yet).
fn pause_after(failure: &Failure, retry: u32) -> Duration {
    let error = failure.error.with_cause();
    let schedule = if failure.error.is_unavailable() {
        tracing::warn!(outage = "database", error, retry, "the database is away, trying again");
        PAUSES
    } else {
        tracing::error!(outage = "database", error, retry, "the database refuses to write a state, trying again");
        REFUSED_PAUSES
    };
    schedule.delay(retry, &mut rand::rng()).unwrap_or(Duration::from_secs(1))
}

fn flatten<T>(answer: Result<Written<T>, service_kit::batch::LaneError>) -> Result<T, Option<Failure>> {
    answer.map_err(|_| None)?.map_err(Some)
}

async fn begin(database: Database, batch: Vec<BeginRequest>, lease: Duration) -> Vec<Written<Begin>> {
    match database.begin_sending(&batch, lease).await {
        Ok(begins) => begins.into_iter().map(Ok).collect(),
        Err(error) if error.is_unavailable() || batch.len() == 1 => shared(batch.len(), error),
        // Something in the batch is refused: each by itself, so that its neighbours go on.
        Err(_) => {
            let mut written = Vec::with_capacity(batch.len());
            for request in batch {
                written.extend(Box::pin(begin(database.clone(), vec![request], lease)).await);
            }
            written
        }
    }
}

async fn settle(database: Database, batch: Vec<Vec<Settlement>>) -> Vec<Written<Vec<bool>>> {
    let all: Vec<Settlement> = batch.iter().flatten().cloned().collect();
    match database.settle(&all).await {
        Ok(recorded) => {
            let mut recorded = recorded.into_iter();
            batch.iter().map(|job| Ok(recorded.by_ref().take(job.len()).collect())).collect()
        }
        Err(error) if error.is_unavailable() || batch.len() == 1 => shared(batch.len(), error),
        Err(_) => {
            let mut written = Vec::with_capacity(batch.len());
            for job in batch {
                written.extend(Box::pin(settle(database.clone(), vec![job])).await);
            }
            written
        }
    }
}

fn shared<T>(jobs: usize, error: Error) -> Vec<Written<T>> {
    let failure = Failure { error: Arc::new(error) };
    (0..jobs).map(|_| Err(failure.clone())).collect()
}
