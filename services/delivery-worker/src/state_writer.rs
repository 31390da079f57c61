//! Writing states: what many messages need written is grouped into one transaction.
//!
//! A worker that cannot reach the database keeps what it holds and tries again, until it works or the worker stops.
//! Nothing is acknowledged meanwhile, so nothing is lost; when a lease runs out, another worker takes over.

use std::{collections::HashSet, sync::Arc, time::Duration};

use domain::{MessageId, RetrySchedule};
use persistence::{Begin, BeginRequest, Database, Deferral, Deferred, Error, Settlement, StateWrite, StateWritten};
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
/// Writes that are not kept waiting for others.
const LARGE_BATCH: usize = 64;

/// The worker stops, or the schema does not fit it any more, before this could be done; the message goes back to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopping;

/// Writes states in batches; takes everything under one lease.
#[derive(Clone)]
pub(crate) struct StateWriter {
    database: Database,
    batcher: Batcher<StateWrite, StateWritten, Error>,
    stop: CancellationToken,
}

impl StateWriter {
    /// Starts `tasks` tasks, whose transactions begin at a pace.
    pub(crate) fn start(database: &Database, tasks: usize, pace: Duration, lease: Duration, scope: &Scope) -> Self {
        let options = BatchOptions {
            name: "states",
            tasks,
            queue: 4_096,
            batch_jobs: 256,
            batch_weight: BATCH_RECIPIENTS,
            pace,
            large: LARGE_BATCH,
        };
        let work = {
            let database = database.clone();
            move |batch: Arc<Vec<StateWrite>>| {
                let database = database.clone();
                async move { database.write_states(&batch, lease).await }
            }
        };
        let batcher = Batcher::start(options, scope, StateWrite::weight, Error::is_unavailable, work);
        Self { database: database.clone(), batcher, stop: scope.stop.clone() }
    }

    /// Which of a message's recipients are over.
    pub(crate) async fn finished(&self, message_id: &MessageId) -> Result<HashSet<String>, Stopping> {
        let read = || self.database.finished_recipients(message_id);
        let pause =
            |error: &Error, retry| self.database.is_migrated().then(|| pause_after_error(error, retry)).flatten();
        until_ok(read, pause, Some(&self.stop)).await.or(Err(Stopping))
    }

    /// Takes recipients under the lease.
    pub(crate) async fn begin(&self, key: u64, request: &BeginRequest) -> Result<Begin, Stopping> {
        match self.unless_stopped(key, StateWrite::Begin(request.clone())).await? {
            StateWritten::Begun(begin) => Ok(begin),
            other => unreachable!("an answer of another kind: {other:?}"),
        }
    }

    /// Records outcomes, with their refunds. `false` where the lease was over.
    ///
    /// A stop does not end this: what an operator has answered is written down as long as the process lives.
    pub(crate) async fn settle(&self, key: u64, settlements: &[Settlement]) -> Result<Vec<bool>, Stopping> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let settle = || self.batcher.submit_waiting(key, StateWrite::Settle(settlements.to_vec()));
        match until_ok(settle, pause_after, None).await.or(Err(Stopping))? {
            StateWritten::Settled(recorded) => Ok(recorded),
            other => unreachable!("an answer of another kind: {other:?}"),
        }
    }

    /// Puts recipients off.
    pub(crate) async fn defer(
        &self,
        key: u64,
        message_id: &MessageId,
        deferral: &Deferral,
    ) -> Result<Deferred, Stopping> {
        let defer = StateWrite::Defer(message_id.clone(), deferral.clone());
        match self.unless_stopped(key, defer).await? {
            StateWritten::Deferred(deferred) => Ok(deferred),
            other => unreachable!("an answer of another kind: {other:?}"),
        }
    }

    /// Writes as often as it takes, but not beyond a stop.
    async fn unless_stopped(&self, key: u64, write: StateWrite) -> Result<StateWritten, Stopping> {
        let submit = || self.batcher.submit_waiting(key, write.clone());
        until_ok(submit, |error, retry| self.pause_unless_outdated(error, retry), Some(&self.stop))
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
    pause_after_error(failure, retry)
}

fn pause_after_error(failure: &Error, retry: u32) -> Option<Duration> {
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
