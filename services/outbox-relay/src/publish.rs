//! One claimed batch: published together, then each event recorded by what the broker said of it.

use std::time::Duration;

use broker::{Outgoing, Published, Publisher};
use domain::{CarriedMessage, Jitter, RetrySchedule};
use persistence::{ClaimedEvent, Database, EventContent};
use telemetry::propagation;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Span, info_span};

use crate::{
    claim::Claim,
    record::{FailedTry, Outcome, Record},
    unknown_kinds::UnknownKinds,
};

/// Retries of an event that the broker returned as unroutable: the reference's ten tries over 318 s.
const REFUSED: RetrySchedule = RetrySchedule::limited(Duration::from_secs(2), Duration::from_secs(64), 9, Jitter::None);

/// Retries of an event that cannot be read, 7 s in all: in a rolling upgrade a newer relay may understand it.
const UNREADABLE: RetrySchedule =
    RetrySchedule::limited(Duration::from_secs(1), Duration::from_secs(4), 3, Jitter::None);

/// Publishes claimed events and records the outcomes.
pub(crate) struct Publish {
    database: Database,
    publisher: Publisher,
    unknown_kinds: UnknownKinds,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// The broker answered for every event, and that is recorded.
    All,
    /// It did not answer for all of them: it had better be left alone for a moment.
    Unanswered,
    /// What it answered could not be recorded. All of it goes out again, so that must not be at once, for as long as it fails.
    Unrecorded,
}

/// A claimed event whose payload could be read.
struct Readable<'a> {
    event: &'a ClaimedEvent,
    message: &'a CarriedMessage,
    span: Span,
}

impl Publish {
    pub(crate) fn new(database: Database, publisher: Publisher, unknown_kinds: UnknownKinds) -> Self {
        Self { database, publisher, unknown_kinds }
    }

    pub(crate) async fn ready(&self) {
        self.publisher.ready().await;
    }

    /// Publishes what was claimed and records what became of it.
    pub(crate) async fn publish(&self, claim: Claim, lease: Duration, stop: &CancellationToken) -> Done {
        let record = Record { database: &self.database, lease, until: Instant::now() + lease, stop };
        let outcome = self.outcome(claim.events()).await;
        let answered = outcome.unsent.is_empty();
        match record.outcome(claim, outcome).await {
            true if answered => Done::All,
            true => Done::Unanswered,
            false => Done::Unrecorded,
        }
    }

    async fn outcome(&self, events: &[ClaimedEvent]) -> Outcome {
        let (mut readable, mut kinds) = (Vec::with_capacity(events.len()), Vec::new());
        let mut outcome = Outcome::default();
        for event in events {
            match &event.content {
                EventContent::Message(message) => {
                    readable.push(Readable { event, message, span: publish_span(event, Some(message)) });
                }
                EventContent::Unreadable(reason) => {
                    let span = publish_span(event, None);
                    outcome.failed.push(failed_try(event, &UNREADABLE, reason.to_string(), span));
                }
                EventContent::UnknownKind(kind) => {
                    outcome.unknown.push(event.id);
                    kinds.push(kind.as_str());
                }
            }
        }
        self.unknown_kinds.note(kinds.into_iter(), Instant::now());
        let published = self.publisher.publish(readable.iter().map(outgoing).collect()).await;
        for (Readable { event, span, .. }, published) in readable.into_iter().zip(published) {
            match published {
                Published::Confirmed => outcome.published.push(event.id),
                // None of these says anything about the event, so none costs it a try.
                Published::NotSent | Published::Unknown | Published::Nacked => outcome.unsent.push(event.id),
                Published::Returned { reason } => outcome.failed.push(failed_try(event, &REFUSED, reason, span)),
            }
        }
        outcome
    }
}

fn failed_try(event: &ClaimedEvent, schedule: &RetrySchedule, reason: String, span: Span) -> FailedTry {
    let delay = schedule.delay(event.attempts, &mut rand::rng());
    FailedTry { event: event.id, attempts: event.attempts + 1, delay, reason, span }
}

fn outgoing(Readable { event, message, span }: &Readable<'_>) -> Outgoing {
    Outgoing {
        exchange: message.exchange.clone(),
        routing_key: message.routing_key.clone(),
        message_id: event.message_id.clone(),
        body: message.body.get().to_owned().into_bytes().into(),
        traceparent: span.in_scope(propagation::current_traceparent).or_else(|| event.traceparent.clone()),
        timestamp: u64::try_from(event.created_at.timestamp()).unwrap_or(0),
    }
}

/// Part of the request's trace, until the outcome is recorded.
fn publish_span(event: &ClaimedEvent, message: Option<&CarriedMessage>) -> Span {
    let user_id = message.map(|message| message.customer_id.get());
    let span =
        info_span!("outbox.publish", otel.kind = "producer", message_identifier = event.message_id, user_id = user_id);
    if let Some(traceparent) = &event.traceparent {
        propagation::set_parent(&span, traceparent);
    }
    span
}

#[cfg(test)]
mod tests {
    use broker::Options;
    use persistence::HELD_AT_MOST;

    /// What is held is lost to a server that has heard nothing for so long.
    #[test]
    fn confirms_come_or_are_given_up_while_events_are_held() {
        assert!(2 * Options::default().confirm_timeout <= HELD_AT_MOST);
    }
}
