//! From a queue to decisions: one task per delivery, as many as the prefetch lets through.

use std::{sync::Arc, time::Instant};

use broker::{Broker, Consumer, Delivery};
use domain::MessageBody;
use operators::Operators;
use persistence::Database;
use telemetry::{names, propagation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, info_span};

use crate::deliver::{Decision, Deliver};

/// One queue, and how its messages are handled.
pub(crate) struct Consume {
    pub(crate) broker: Broker,
    pub(crate) database: Database,
    pub(crate) operators: Operators,
    pub(crate) queue: String,
    pub(crate) prefetch: u16,
    pub(crate) deliver: Deliver,
}

impl Consume {
    /// Consumes until `stop`, then finishes what is in hand. Without a schema to work on, or an operator that could be asked, it takes
    /// nothing, so that messages go to workers that have one, or wait in the queue.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let in_hand = TaskTracker::new();
        // The prefetch bounds what one connection hands out; this bounds what is in hand over several of them.
        let places = Arc::new(Semaphore::new(usize::from(self.prefetch)));
        while stop.run_until_cancelled(self.can_work()).await.is_some() {
            let mut consumer = self.broker.consumer(&self.queue, self.prefetch);
            let is_over = tokio::select! {
                () = stop.cancelled() => true,
                () = self.consume(&mut consumer, &places, &in_hand) => true,
                () = self.database.outdated() => false,
                () = self.operators.away() => {
                    tracing::warn!(outage = "operators", queue = self.queue, "no operator has a session: messages stay in the queue");
                    false
                }
            };
            consumer.stop().await;
            if is_over {
                break;
            }
        }
        in_hand.close();
        in_hand.wait().await;
    }

    async fn can_work(&self) {
        self.database.migrated().await;
        self.operators.reachable().await;
    }

    /// Ends with the broker only. Cancel safe: a delivery is in hand, or still with the consumer.
    async fn consume(&self, consumer: &mut Consumer, places: &Arc<Semaphore>, in_hand: &TaskTracker) {
        while let Some((delivery, place)) = next(consumer, places).await {
            let handling = handle(delivery, self.queue.clone(), self.deliver.clone());
            in_hand.spawn(async move {
                handling.await;
                drop(place);
            });
        }
    }
}

async fn next(consumer: &mut Consumer, places: &Arc<Semaphore>) -> Option<(Delivery, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    Some((consumer.next().await?, place))
}

async fn handle(delivery: Delivery, queue: String, deliver: Deliver) {
    let started = Instant::now();
    let span = info_span!(
        "message.deliver",
        otel.kind = "consumer",
        queue,
        message_identifier = tracing::field::Empty,
        user_id = tracing::field::Empty
    );
    if let Some(traceparent) = &delivery.traceparent {
        propagation::set_parent(&span, traceparent);
    }
    let result = answer(delivery, &deliver, &span).instrument(span.clone()).await;
    span.in_scope(|| tracing::debug!(result, "a message was handled"));
    metrics::counter!(names::WORKER_EVENTS_TOTAL, names::label::QUEUE => queue.clone(), names::label::RESULT => result)
        .increment(1);
    metrics::histogram!(names::WORKER_EVENT_DURATION_SECONDS, names::label::QUEUE => queue).record(started.elapsed());
}

async fn answer(delivery: Delivery, deliver: &Deliver, span: &tracing::Span) -> &'static str {
    let body = match MessageBody::from_json(&delivery.body) {
        Ok(body) => body,
        Err(error) => {
            span.record("message_identifier", &delivery.message_id);
            tracing::error!(%error, "a malformed message goes to the dead-letter queue");
            delivery.dead_letter().await;
            return "malformed";
        }
    };
    span.record("message_identifier", body.message_identifier.as_str());
    span.record("user_id", body.customer_id.get());
    match deliver.deliver(&body).await {
        Decision::Ack => {
            delivery.ack().await;
            "ok"
        }
        Decision::DeadLetter(reason) => {
            tracing::error!(reason, "a message goes to the dead-letter queue");
            delivery.dead_letter().await;
            "dead_letter"
        }
        Decision::Requeue => {
            delivery.requeue().await;
            "requeued"
        }
    }
}
