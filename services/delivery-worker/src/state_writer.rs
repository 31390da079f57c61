//! Writing states: what many messages need written is grouped into one transaction.
//!
//! A worker that cannot reach the database keeps what it holds and tries again, until it works or the worker stops.
//! Nothing is acknowledged meanwhile, so nothing is lost; when a lease runs out, another worker takes over.

use std::{sync::Arc, time::Duration};

use domain::{MessageId, RetrySchedule};
use persistence::{Begin, BeginRequest, ClaimedRecipient, Database, Deferred, Error, Settlement};
use service_kit::{
    Scope,
    batch::{BatchError, BatchOptions, Batcher},
    retry::until_ok,
};
use tokio_util::sync::CancellationToken;

use crate::CHUNK;

/// Pauses while the database is away.
const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(2));
/// Pauses while the database refuses.
const REFUSED_PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_secs(1), Duration::from_mins(1));

/// Recipients after which nothing more is added to a batch: with a last chunk it is one of 512, which SQLite's limit of
/// 1,000 nested terms still allows.
const BATCH_RECIPIENTS: usize = 512 - CHUNK;

/// The least time from one transaction of a task to the next, but for full ones.
const BEGIN_PACE: Duration = Duration::from_millis(10);
const SETTLE_PACE: Duration = Duration::from_millis(20);

/// The worker stops, or the schema does not fit it any more, before this could be written; the message goes back to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopping;

/// Writes states in batches; takes everything under one lease.
#[derive(Clone)]
pub(crate) struct StateWriter {
    database: Database,
    begin: Batcher<BeginRequest, Begin, Error>,
    settle: Batcher<Vec<Settlement>, Vec<bool>, Error>,
    stop: CancellationToken,
}

impl StateWriter {
    /// Starts `tasks` tasks for each kind of write.
    pub(crate) fn start(database: &Database, tasks: usize, lease: Duration, scope: &Scope) -> Self {
        let options = |name, pace| BatchOptions {
            name,
            tasks,
            queue: 4_096,
            batch_jobs: 256,
            batch_weight: BATCH_RECIPIENTS,
            pace,
        };
        let begin = {
            let database = database.clone();
            let work = move |batch: Arc<Vec<BeginRequest>>| {
                let database = database.clone();
                async move { database.begin_sending(&batch, lease).await }
            };
            let recipients = |request: &BeginRequest| request.recipients.len();
            Batcher::start(options("begin", BEGIN_PACE), scope, recipients, Error::is_unavailable, work)
        };
        let settle = {
            let database = database.clone();
            let work = move |batch: Arc<Vec<Vec<Settlement>>>| settle(database.clone(), batch);
            Batcher::start(options("settle", SETTLE_PACE), scope, Vec::len, Error::is_unavailable, work)
        };
        Self { database: database.clone(), begin, settle, stop: scope.stop.clone() }
    }

    /// Takes recipients under the lease.
    pub(crate) async fn begin(&self, key: u64, request: &BeginRequest) -> Result<Begin, Stopping> {
        let begin = || self.begin.submit_waiting(key, request.clone());
        until_ok(begin, |error, retry| self.pause_unless_outdated(error, retry), Some(&self.stop))
            .await
            .or(Err(Stopping))
    }

    /// Records outcomes, with their refunds. `false` where the lease was over.
    ///
    /// A stop does not end this: what an operator has answered is written down as long as the process lives.
    pub(crate) async fn settle(&self, key: u64, settlements: &[Settlement]) -> Result<Vec<bool>, Stopping> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        until_ok(|| self.settle.submit_waiting(key, settlements.to_vec()), pause_after, None).await.or(Err(Stopping))
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
            deferred.map_err(|error| BatchError::Failed(Arc::new(error)))
        };
        until_ok(defer, |error, retry| self.pause_unless_outdated(error, retry), Some(&self.stop))
            .await
            .or(Err(Stopping))
    }

    /// No other try once the schema does not fit: it is no longer ours to write, for another worker has a schema that it can
    /// work on.
    fn pause_unless_outdated(&self, error: &BatchError<Error>, retry: u32) -> Option<Duration> {
        self.database.is_migrated().then(|| pause_after(error, retry)).flatten()
    }
}

/// No error of the database is the message's fault: it is held and tried again, less often when the database does
/// answer but finds a mistake in what is asked of it (a schema that is not there yet). A batcher that stopped means the same as a
/// stop.
fn pause_after(error: &BatchError<Error>, retry: u32) -> Option<Duration> {
    let BatchError::Failed(failure) = error else { return None };
    let error = failure.with_cause();
    let schedule = if failure.is_unavailable() {
        tracing::warn!(outage = "database", error, retry, "the database is away, trying again");
        PAUSES
    } else {
        tracing::error!(outage = "database", error, retry, "the database refuses to write a state, trying again");
        REFUSED_PAUSES
    };
    schedule.delay(retry, &mut rand::rng())
}

async fn settle(database: Database, batch: Arc<Vec<Vec<Settlement>>>) -> Result<Vec<Vec<bool>>, Error> {
    let all: Vec<Settlement> = batch.iter().flatten().cloned().collect();
    let mut recorded = database.settle(&all).await?.into_iter();
    Ok(batch.iter().map(|job| recorded.by_ref().take(job.len()).collect()).collect())
}
