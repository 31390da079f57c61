//! From a queue to decisions: one task per delivery, as many as the prefetch lets through.

use std::{sync::Arc, time::Instant};

use broker::{Consumer, Delivery};
use domain::MessageBody;
use service_kit::Scope;
use telemetry::{names, propagation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info_span};

use crate::deliver::{Decision, Deliver};

/// Consumes until the scope stops, then finishes what is in hand.
pub(crate) async fn run(mut consumer: Consumer, queue: String, prefetch: u16, deliver: Deliver, scope: Scope) {
    let in_hand = TaskTracker::new();
    // The prefetch bounds what one connection hands out; this bounds what is in hand over several of them.
    let places = Arc::new(Semaphore::new(usize::from(prefetch)));
    while let Some(Some((delivery, place))) = scope.stop.run_until_cancelled(next(&mut consumer, &places)).await {
        let handling = handle(delivery, queue.clone(), deliver.clone());
        in_hand.spawn(async move {
            handling.await;
            drop(place);
        });
    }
    consumer.stop().await;
    in_hand.close();
    in_hand.wait().await;
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
