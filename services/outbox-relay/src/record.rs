//! What became of the events of a claim, and how it is written down.

use std::time::Duration;

use domain::RetrySchedule;
use persistence::{ClaimToken, Database, Error, Held, HeldOutcome, OutboxEventId};
use service_kit::retry::until_ok;
use telemetry::names;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::{claim::Claim, unknown_kinds};

/// Pauses between tries to record an outcome while the database is away.
const RECORD_PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(2));

/// What became of the events of one claim.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) published: Vec<OutboxEventId>,
    pub(crate) unsent: Vec<OutboxEventId>,
    pub(crate) unknown: Vec<OutboxEventId>,
    pub(crate) failed: Vec<FailedTry>,
}

/// A try that failed: how long the event waits, or that this was its last, and why.
#[derive(Debug)]
pub(crate) struct FailedTry {
    pub(crate) event: OutboxEventId,
    /// Tries so far, this one included.
    pub(crate) attempts: u32,
    /// `None` after the last try.
    pub(crate) delay: Option<Duration>,
    pub(crate) reason: String,
    /// Names the message.
    pub(crate) span: Span,
}

impl FailedTry {
    fn log(&self) {
        let (attempts, reason) = (self.attempts, &self.reason);
        self.span.in_scope(|| {
            if self.delay.is_some() {
                tracing::warn!(outage = "broker", attempts, reason, "an event was not published, trying later");
            } else {
                tracing::error!(reason, "an event can never be published: its message fails and is refunded");
            }
        });
    }
}

/// Writes outcomes down. While the database is away it keeps trying until the lease is over: an outcome that is not
/// recorded is found again, and published twice.
pub(crate) struct Record<'a> {
    pub(crate) database: &'a Database,
    pub(crate) lease: Duration,
    pub(crate) until: Instant,
    pub(crate) stop: &'a CancellationToken,
}

impl Record<'_> {
    /// Tells whether it was written down, as far as that is to be waited for: what a lease keeps from others comes back when it ends.
    pub(crate) async fn outcome(&self, claim: Claim, outcome: Outcome) -> bool {
        if !outcome.unsent.is_empty() {
            let events = outcome.unsent.len();
            tracing::warn!(outage = "broker", events, "the broker did not confirm these events; they are given back");
        }
        outcome.failed.iter().for_each(FailedTry::log);
        match claim {
            Claim::Held(held) => self.of_held(held, outcome).await,
            Claim::Leased(_, token) => {
                self.of_leased(&token, outcome).await;
                true
            }
        }
    }

    /// All in the transaction that holds them, but for those to be given up: a refund has locks of its own, which come before
    /// these.
    async fn of_held(&self, held: Held, outcome: Outcome) -> bool {
        let (last, later): (Vec<_>, Vec<_>) = outcome.failed.into_iter().partition(|failed| failed.delay.is_none());
        let token = ClaimToken::unique();
        let recorded = HeldOutcome {
            published: outcome.published,
            later: later.into_iter().filter_map(|failed| Some((failed.event, failed.delay?, failed.reason))).collect(),
            unknown: Some((outcome.unknown, unknown_kinds::PUT_OFF)),
            to_give_up: Some((last.iter().map(|failed| failed.event).collect(), token.clone(), self.lease)),
        };
        // One try: without its connection the locks are gone.
        if let Err(error) = held.record(self.database, &recorded).await {
            not_recorded(&error);
            return false;
        }
        self.give_up(last, &token).await;
        true
    }

    async fn of_leased(&self, token: &ClaimToken, outcome: Outcome) {
        let Outcome { published, unsent, unknown, failed } = outcome;
        // What was confirmed first: while it is not recorded, it would be published twice.
        let recorded = self.until_recorded(|| self.database.mark_processed(&published, token)).await;
        report_lost("recording published events", published.len(), recorded);
        let recorded = self.until_recorded(|| self.database.release_events(&unsent, token)).await;
        report_lost("giving back events", unsent.len(), recorded);
        let put_off = || self.database.put_off_unknown(&unknown, token, unknown_kinds::PUT_OFF);
        let recorded = self.until_recorded(put_off).await;
        report_lost("putting off events of an unknown kind", unknown.len(), recorded);
        let (last, later): (Vec<_>, Vec<_>) = failed.into_iter().partition(|failed| failed.delay.is_none());
        for FailedTry { event, delay, reason, span, .. } in &later {
            let Some(delay) = *delay else { continue };
            let retry = || self.database.retry_event_later(*event, token, delay, reason);
            self.until_recorded(retry).instrument(span.clone()).await;
        }
        self.give_up(last, token).await;
    }

    /// Runs in the events' spans, which name their messages.
    async fn give_up(&self, last: Vec<FailedTry>, token: &ClaimToken) {
        for FailedTry { event, reason, span, .. } in &last {
            let fail = || self.database.fail_event(*event, token, reason);
            let failed = self.until_recorded(fail).instrument(span.clone()).await;
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
        until_ok(record, again, None).await.inspect_err(not_recorded).ok()
    }
}

fn not_recorded(error: &Error) {
    let error = error.with_cause();
    tracing::error!(
        outage = "database",
        error,
        "an outcome was not recorded; the events are found again, when a lease on them ends"
    );
}

fn report_lost(doing: &str, events: usize, recorded: Option<u64>) {
    let Some(ours) = recorded.filter(|ours| *ours != events as u64) else { return };
    tracing::warn!(
        outage = "database",
        events,
        ours,
        doing,
        "the lease ended first; others publish these events again"
    );
}
