//! From a request to a place in the database: lanes that take whatever waits and store it in one transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::MessageType;
use persistence::{AcceptOutcome, AcceptRequest, Database};
use service_kit::{
    Scope,
    batch::{LaneError, LaneOptions, Lanes},
};

use crate::{backpressure::latency::Latency, error::ApiError};

/// Told the type of each accepted message, so that a relay in the same process need not wait for its next poll.
pub type OnAccepted = Arc<dyn Fn(MessageType) + Send + Sync>;

/// How long a client waits at most: a database that is down is answered within a second.
const ANSWER_WITHIN: Duration = Duration::from_millis(950);

/// Requests that may wait in a lane; more are refused as overload.
const LANE_QUEUE: usize = 1_024;
/// Most requests of one transaction.
const BATCH_REQUESTS: usize = 128;
/// Recipients after which no request is added to a transaction, so that it stays short.
const BATCH_RECIPIENTS: usize = 2_000;

/// The way to the database for requests to send.
#[derive(Clone)]
pub(crate) struct AcceptLanes {
    lanes: Lanes<AcceptRequest, Stored>,
    /// How long requests take here in all.
    latency: Latency,
}

/// What a lane works with.
#[derive(Clone)]
struct Store {
    database: Database,
    latency: Latency,
    on_accepted: Option<OnAccepted>,
}

/// What became of one request of a batch; an error is that of the whole batch.
type Stored = Result<AcceptOutcome, Arc<persistence::Error>>;

impl AcceptLanes {
    pub(crate) fn start(
        database: &Database,
        lanes: usize,
        database_latency: Latency,
        handler_latency: Latency,
        on_accepted: Option<OnAccepted>,
        scope: &Scope,
    ) -> Self {
        let options = LaneOptions {
            name: "accept",
            lanes,
            queue: LANE_QUEUE,
            batch_jobs: BATCH_REQUESTS,
            batch_weight: BATCH_RECIPIENTS,
        };
        let recipients = |request: &AcceptRequest| request.payload.message.recipients.count();
        let store = Store { database: database.clone(), latency: database_latency, on_accepted };
        let work = move |batch: Vec<AcceptRequest>| store.clone().batch(batch);
        Self { lanes: Lanes::start(options, scope, recipients, work), latency: handler_latency }
    }

    /// Stores a request and tells what became of it.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] when too many requests wait, [`ApiError::Unavailable`] when the database does not
    /// answer in time. Then the request was not stored, unless its commit was already on the way.
    pub(crate) async fn accept(&self, request: AcceptRequest) -> Result<AcceptOutcome, ApiError> {
        // Customers keep to one lane: theirs is one row lock, which a batch then takes once for all of them.
        let customer = request.payload.message.customer_id.get().unsigned_abs();
        let started = Instant::now();
        match tokio::time::timeout(ANSWER_WITHIN, self.lanes.submit(customer, request)).await {
            // Made into an answer here and not in the lane, so that it is logged with the request's trace.
            Ok(Ok(Err(error))) => Err(ApiError::from(&*error)),
            Ok(Ok(Ok(outcome))) => {
                // Only what the database answered for: one that is away is no overload.
                self.latency.record(1, started.elapsed());
                Ok(outcome)
            }
            Ok(Err(LaneError::Full)) => Err(ApiError::Overloaded { signal: None }),
            Ok(Err(LaneError::Stopped)) => Err(ApiError::Unavailable),
            Err(_) => {
                tracing::warn!(outage = "database", "the database did not answer a request in time");
                Err(ApiError::Unavailable)
            }
        }
    }
}

impl Store {
    async fn batch(self, batch: Vec<AcceptRequest>) -> Vec<Stored> {
        let started = Instant::now();
        match self.database.accept(&batch).await {
            Ok(outcomes) => {
                self.latency.record(batch.len() as u64, started.elapsed());
                if let Some(on_accepted) = &self.on_accepted {
                    announce(&batch, &outcomes, &**on_accepted);
                }
                outcomes.into_iter().map(Ok).collect()
            }
            Err(error) if error.is_unavailable() || batch.len() == 1 => {
                let error = Arc::new(error);
                batch.iter().map(|_| Err(Arc::clone(&error))).collect()
            }
            // Something in the batch is refused: each request by itself, so that its neighbours are served.
            Err(_) => {
                let mut outcomes = Vec::with_capacity(batch.len());
                for request in batch {
                    outcomes.extend(Box::pin(self.clone().batch(vec![request])).await);
                }
                outcomes
            }
        }
    }
}

fn announce(batch: &[AcceptRequest], outcomes: &[AcceptOutcome], on_accepted: &dyn Fn(MessageType)) {
    for kind in MessageType::ALL {
        let is_new = |(request, outcome): (&AcceptRequest, &AcceptOutcome)| {
            request.payload.message.kind == kind && matches!(outcome, AcceptOutcome::Accepted(_))
        };
        if batch.iter().zip(outcomes).any(is_new) {
            on_accepted(kind);
        }
    }
}
