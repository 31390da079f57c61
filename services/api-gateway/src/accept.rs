//! From a request to a place in the database: batches of whatever waits, each stored in one transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::Lane;
use persistence::{AcceptOutcome, AcceptRequest, Database};
use service_kit::{
    Scope,
    batch::{BatchError, BatchOptions, Batcher},
};

use crate::{backpressure::latency::Latency, error::ApiError};

/// Told the lane of each accepted message, so that a relay in the same process need not wait for its next poll.
pub type OnAccepted = Arc<dyn Fn(Lane) + Send + Sync>;

/// How long a client waits at most: a database that is down is answered within a second.
const ANSWER_WITHIN: Duration = Duration::from_millis(950);

/// Requests that may wait for a task; more are refused as overload.
const WAITING_REQUESTS: usize = 1_024;
/// Most requests of one transaction.
const BATCH_REQUESTS: usize = 128;
/// Recipients after which no request is added to a transaction, so that it stays short.
const BATCH_RECIPIENTS: usize = 2_000;

/// The least time from one transaction of a task to the next, while less than a large batch waits.
const PACE: Duration = Duration::from_millis(10);
const LARGE_BATCH: usize = 32;

/// The way to the database for requests to send.
#[derive(Clone)]
pub(crate) struct AcceptBatcher {
    batcher: Batcher<AcceptRequest, AcceptOutcome, persistence::Error>,
    /// How long requests take here in all.
    latency: Latency,
}

/// What a batch is stored with.
#[derive(Clone)]
struct Store {
    database: Database,
    latency: Latency,
    on_accepted: Option<OnAccepted>,
}

impl AcceptBatcher {
    pub(crate) fn start(
        database: &Database,
        tasks: usize,
        database_latency: Latency,
        handler_latency: Latency,
        on_accepted: Option<OnAccepted>,
        scope: &Scope,
    ) -> Self {
        let options = BatchOptions {
            name: "accept",
            tasks,
            queue: WAITING_REQUESTS,
            batch_jobs: BATCH_REQUESTS,
            batch_weight: BATCH_RECIPIENTS,
            pace: PACE,
            large: LARGE_BATCH,
        };
        let recipients = |request: &AcceptRequest| request.payload.message.recipients.count();
        let store = Store { database: database.clone(), latency: database_latency, on_accepted };
        let work = move |batch: Arc<Vec<AcceptRequest>>| store.clone().batch(batch);
        let concerns_all = persistence::Error::is_unavailable;
        Self { batcher: Batcher::start(options, scope, recipients, concerns_all, work), latency: handler_latency }
    }

    /// Stores a request and tells what became of it.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] when too many requests wait, [`ApiError::Unavailable`] when the database does not
    /// answer in time. Then the request was not stored, unless its commit was already on the way.
    pub(crate) async fn accept(&self, request: AcceptRequest) -> Result<AcceptOutcome, ApiError> {
        // Customers keep to one task: theirs is one row lock, which a batch then takes once for all of them.
        let customer = request.payload.message.customer_id.get().unsigned_abs();
        let started = Instant::now();
        match tokio::time::timeout(ANSWER_WITHIN, self.batcher.submit(customer, request)).await {
            Ok(Ok(outcome)) => {
                // Only what the database answered for: one that is away is no overload.
                self.latency.record(1, started.elapsed());
                Ok(outcome)
            }
            // Made into an answer here and not in the batch, so that it is logged with the request's trace.
            Ok(Err(BatchError::Failed(error))) => Err(ApiError::from(&*error)),
            Ok(Err(BatchError::Full)) => Err(ApiError::Overloaded { signal: None }),
            Ok(Err(BatchError::Stopped)) => Err(ApiError::Unavailable),
            Err(_) => {
                tracing::warn!(outage = "database", "the database did not answer a request in time");
                Err(ApiError::Unavailable)
            }
        }
    }
}

impl Store {
    async fn batch(self, batch: Arc<Vec<AcceptRequest>>) -> Result<Vec<AcceptOutcome>, persistence::Error> {
        let started = Instant::now();
        let outcomes = self.database.accept(&batch).await?;
        self.latency.record(batch.len() as u64, started.elapsed());
        if let Some(on_accepted) = &self.on_accepted {
            announce(&batch, &outcomes, &**on_accepted);
        }
        Ok(outcomes)
    }
}

fn announce(batch: &[AcceptRequest], outcomes: &[AcceptOutcome], on_accepted: &dyn Fn(Lane)) {
    for lane in Lane::ALL {
        let is_new = |(request, outcome): (&AcceptRequest, &AcceptOutcome)| {
            Lane::of(request.payload.message.kind) == lane && matches!(outcome, AcceptOutcome::Accepted(_))
        };
        if batch.iter().zip(outcomes).any(is_new) {
            on_accepted(lane);
        }
    }
}
