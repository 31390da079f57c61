//! One claimed batch: published together, then each event recorded by what the broker said of it.

use std::time::Duration;

use broker::{Outgoing, Published, Publisher};
use domain::{Jitter, OutboxPayload, RetrySchedule};
use persistence::{ClaimToken, ClaimedEvent, Database, Error, EventContent, OutboxEventId};
use service_kit::retry::until_ok;
use telemetry::{names, propagation};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info_span};

use crate::unknown_kinds::{self, UnknownKinds};

/// Retries of an event that the broker returned as unroutable: the reference's ten tries over 318 s.
const REFUSED: RetrySchedule = RetrySchedule::limited(Duration::from_secs(2), Duration::from_secs(64), 9, Jitter::None);

/// Retries of an event that cannot be read, 7 s in all: in a rolling upgrade a newer relay may understand it.
const UNREADABLE: RetrySchedule =
    RetrySchedule::limited(Duration::from_secs(1), Duration::from_secs(4), 3, Jitter::None);

/// Pauses between tries to record an outcome while the database is away.
const RECORD_PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(2));

/// Publishes claimed events and records the outcomes.
pub(crate) struct Publish {
    database: Database,
    publisher: Publisher,
    unknown_kinds: UnknownKinds,
}

/// A claimed event whose payload could be read.
struct Readable<'a> {
    event: &'a ClaimedEvent,
    payload: &'a OutboxPayload,
    span: Span,
}

/// A try that failed: what is to be done about it, and why.
struct FailedTry<'a> {
    event: &'a ClaimedEvent,
    schedule: &'static RetrySchedule,
    reason: String,
    span: Span,
}

impl Publish {
    pub(crate) fn new(database: Database, publisher: Publisher, unknown_kinds: UnknownKinds) -> Self {
        Self { database, publisher, unknown_kinds }
    }

    pub(crate) async fn ready(&self) {
        self.publisher.ready().await;
    }

    /// Publishes a batch and records what became of each event, as long as the lease lasts. Tells whether the broker
    /// answered for every event; otherwise it had better be left alone for a moment.
    pub(crate) async fn publish(
        &self,
        events: &[ClaimedEvent],
        token: &ClaimToken,
        lease: Duration,
        stop: &CancellationToken,
    ) -> bool {
        let record = Record { database: &self.database, token, until: Instant::now() + lease, stop };
        let (mut readable, mut failed, mut unknown) = (Vec::with_capacity(events.len()), Vec::new(), Vec::new());
        for event in events {
            match &event.content {
                EventContent::Message(payload) => {
                    readable.push(Readable { event, payload, span: publish_span(event, Some(payload)) });
                }
                EventContent::Unreadable(reason) => {
                    let (reason, span) = (reason.to_string(), publish_span(event, None));
                    failed.push(FailedTry { event, schedule: &UNREADABLE, reason, span });
                }
                EventContent::UnknownKind(kind) => unknown.push((event.id, kind)),
            }
        }
        let outgoing = readable.iter().map(outgoing).collect();
        let outcomes = self.publisher.publish(outgoing).await;
        let (mut confirmed, mut unsent) = (Vec::new(), Vec::new());
        for (Readable { event, span, .. }, outcome) in readable.iter().zip(outcomes) {
            match outcome {
                Published::Confirmed => confirmed.push(event.id),
                // None of these says anything about the event, so none costs it a try.
                Published::NotSent | Published::Unknown | Published::Nacked => unsent.push(event.id),
                Published::Returned { reason } => {
                    failed.push(FailedTry { event, schedule: &REFUSED, reason, span: span.clone() });
                }
            }
        }
        // What was confirmed first: while it is not recorded, it would be published twice.
        record.processed(&confirmed).await;
        record.released(&unsent).await;
        if !unknown.is_empty() {
            record.put_off(&unknown.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await;
            self.unknown_kinds.note(unknown.iter().map(|(_, kind)| kind.as_str()), Instant::now());
        }
        for failed in failed {
            let span = failed.span.clone();
            record.failed_try(failed).instrument(span).await;
        }
        unsent.is_empty()
    }
}

fn outgoing(Readable { event, payload, span }: &Readable<'_>) -> Outgoing {
    let body = serde_json::to_vec(&payload.message).expect("strings and numbers serialise");
    Outgoing {
        exchange: payload.exchange.clone(),
        routing_key: payload.routing_key.clone(),
        message_id: event.message_id.clone(),
        body: body.into(),
        traceparent: span.in_scope(propagation::current_traceparent).or_else(|| event.traceparent.clone()),
        timestamp: u64::try_from(event.created_at.timestamp()).unwrap_or(0),
    }
}

/// Part of the request's trace, until the outcome is recorded.
fn publish_span(event: &ClaimedEvent, payload: Option<&OutboxPayload>) -> Span {
    let user_id = payload.map(|payload| payload.message.customer_id.get());
    let span =
        info_span!("outbox.publish", otel.kind = "producer", message_identifier = event.message_id, user_id = user_id);
    if let Some(traceparent) = &event.traceparent {
        propagation::set_parent(&span, traceparent);
    }
    span
}

/// Writes outcomes down. While the database is away it keeps trying until the lease is over: an outcome that is not
/// recorded is found again by the rescue, and published twice.
struct Record<'a> {
    database: &'a Database,
    token: &'a ClaimToken,
    until: Instant,
    stop: &'a CancellationToken,
}

impl Record<'_> {
    async fn processed(&self, ids: &[OutboxEventId]) {
        if let Some(ours) = self.until_recorded(|| self.database.mark_processed(ids, self.token)).await {
            report_lost("recording published events", ids.len(), ours);
        }
    }

    async fn released(&self, ids: &[OutboxEventId]) {
        if ids.is_empty() {
            return;
        }
        let events = ids.len();
        tracing::warn!(outage = "broker", events, "the broker did not confirm these events; they are given back");
        if let Some(ours) = self.until_recorded(|| self.database.release_events(ids, self.token)).await {
            report_lost("giving back events", ids.len(), ours);
        }
    }

    async fn put_off(&self, ids: &[OutboxEventId]) {
        let put_off = || self.database.put_off_unknown(ids, self.token, unknown_kinds::PUT_OFF);
        if let Some(ours) = self.until_recorded(put_off).await {
            report_lost("putting off events of an unknown kind", ids.len(), ours);
        }
    }

    /// Runs in the event's span, which names the message.
    async fn failed_try(&self, FailedTry { event, schedule, reason, .. }: FailedTry<'_>) {
        let reason = &reason;
        let delay = schedule.delay(event.attempts, &mut rand::rng());
        if let Some(delay) = delay {
            let attempts = event.attempts + 1;
            tracing::warn!(outage = "broker", attempts, reason, "an event was not published, trying later");
            self.until_recorded(|| self.database.retry_event_later(event.id, self.token, delay, reason)).await;
        } else {
            tracing::error!(reason, "an event can never be published: its message fails and is refunded");
            let failed = self.until_recorded(|| self.database.fail_event(event.id, self.token, reason)).await;
            let recipients = failed.flatten().unwrap_or(0);
            metrics::counter!(names::RECIPIENTS_SETTLED_TOTAL, names::label::RESULT => "failed").increment(recipients);
        }
    }

    async fn until_recorded<T, F>(&self, record: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let again = |error: &Error, retry| {
            let pause = RECORD_PAUSES.delay(retry, &mut rand::rng())?;
            // On shutdown the lease is left to the rescue as well.
            let is_vain = !error.is_unavailable() || self.stop.is_cancelled() || Instant::now() + pause >= self.until;
            (!is_vain).then_some(pause)
        };
        let recorded = until_ok(record, again, None).await;
        recorded
            .inspect_err(|error| {
                let error = error.with_cause();
                tracing::error!(
                    outage = "database",
                    error,
                    "an outcome was not recorded; the events are found again when the lease ends"
                );
            })
            .ok()
    }
}

fn report_lost(doing: &str, events: usize, ours: u64) {
    if ours != events as u64 {
        tracing::warn!(
            outage = "database",
            events,
            ours,
            doing,
            "the lease ended first; others publish these events again"
        );
    }
}
