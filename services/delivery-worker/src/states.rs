//! Writing states: lanes that group what many messages need written into one transaction.
//!
//! A worker that cannot reach the database keeps what it holds and tries again, until it works or the worker stops.
//! Nothing is acknowledged meanwhile, so nothing is lost; when a lease runs out, another worker takes over.

use std::{sync::Arc, time::Duration};

use domain::RetrySchedule;
use persistence::{Begin, BeginRequest, ClaimedRecipient, Database, Deferred, Error, Settlement};
use service_kit::{
    Scope,
    batch::{LaneOptions, Lanes},
};
use tokio_util::sync::CancellationToken;

use domain::MessageId;

/// Pauses while the database is away.
const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(2));

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// The worker stops; the message goes back to the queue.
    Stopping,
    /// The database refuses this write whenever it is tried.
    Refused(String),
}

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
        let options = |name| LaneOptions { name, lanes, queue: 4_096, batch_jobs: 128, batch_weight: 512 };
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
    pub(crate) async fn begin(&self, key: u64, request: &BeginRequest) -> Result<Begin, Unwritten> {
        self.until_written(|| async { flatten(self.begin.submit_waiting(key, request.clone()).await) }).await
    }

    /// Records outcomes, with their refunds. `false` where the lease was over.
    pub(crate) async fn settle(&self, key: u64, settlements: &[Settlement]) -> Result<Vec<bool>, Unwritten> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        self.until_written(|| async { flatten(self.settle.submit_waiting(key, settlements.to_vec()).await) }).await
    }

    /// Puts recipients off whose outcome is not known.
    pub(crate) async fn defer(
        &self,
        message_id: &MessageId,
        recipients: &[ClaimedRecipient],
        delay: Duration,
    ) -> Result<Deferred, Unwritten> {
        let defer = || async {
            let deferred = self.database.defer(message_id, recipients, delay).await;
            deferred.map_err(|error| Some(Failure { error: Arc::new(error) }))
        };
        self.until_written(defer).await
    }

    async fn until_written<T, F>(&self, write: impl Fn() -> F) -> Result<T, Unwritten>
    where
        F: Future<Output = Result<T, Option<Failure>>>,
    {
        for retry in 0.. {
            // A lane that stopped means the same as a stop.
            let failure = match write().await {
                Ok(written) => return Ok(written),
                Err(None) => return Err(Unwritten::Stopping),
                Err(Some(failure)) => failure.error,
            };
            if !failure.is_unavailable() {
                return Err(Unwritten::Refused(failure.to_string()));
            }
            tracing::debug!(error = %failure, retry, "the database is away, trying again");
            let pause = PAUSES.delay(retry, &mut rand::rng()).unwrap_or_default();
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err(Unwritten::Stopping);
            }
        }
        Err(Unwritten::Stopping)
    }
}

fn flatten<T>(answer: Result<Written<T>, service_kit::batch::LaneError>) -> Result<T, Option<Failure>> {
    answer.map_err(|_| None)?.map_err(Some)
}

async fn begin(database: Database, batch: Vec<BeginRequest>, lease: Duration) -> Vec<Written<Begin>> {
    match database.begin_sending(&batch, lease).await {
        Ok(begins) => begins.into_iter().map(Ok).collect(),
        Err(error) => shared(batch.len(), error),
    }
}

async fn settle(database: Database, batch: Vec<Vec<Settlement>>) -> Vec<Written<Vec<bool>>> {
    let all: Vec<Settlement> = batch.iter().flatten().cloned().collect();
    match database.settle(&all).await {
        Ok(recorded) => {
            let mut recorded = recorded.into_iter();
            batch.iter().map(|job| Ok(recorded.by_ref().take(job.len()).collect())).collect()
        }
        Err(error) => shared(batch.len(), error),
    }
}

fn shared<T>(jobs: usize, error: Error) -> Vec<Written<T>> {
    let failure = Failure { error: Arc::new(error) };
    (0..jobs).map(|_| Err(failure.clone())).collect()
}
