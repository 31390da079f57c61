//! One message: its recipients are taken, sent and recorded in chunks, each under a lease that outlasts its round.

use std::{sync::Arc, time::Duration};

use callbacks::OperatorSecrets;
use domain::{EncodingChoice, MessageBody, Recipient, Segmentation, Sender};
use futures_util::future::join_all;
use operators::{Coding, Operators, Prior, Submission, Verdict};
use persistence::{Begin, BeginRequest, Called, ClaimedRecipient, Deferred, Outcome, PutOff, Settlement};
use rand::RngExt as _;
use telemetry::names;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    CHUNK, WorkerConfig, age, series,
    state_writer::{StateWriter, Stopping},
};

/// What the lease leaves for the database on top of the longest round of calls.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// Age after which a message with an unknown outcome is offered to the next operator too: late is worse than twice.
const OVERDUE: Duration = Duration::from_secs(30);

/// How soon an unknown outcome is asked about again: half of the message's age, within these.
const DEFER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// How often a message is looked at again that somebody else holds or that cannot be put off yet.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// What is to become of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// All recipients are final, or put off by the outbox: acknowledge.
    Ack,
    /// It can never be worked on: to the dead-letter queue.
    DeadLetter(String),
    /// The worker stops: back to the queue.
    Requeue,
}

/// Sends messages.
#[derive(Clone)]
pub(crate) struct Deliver {
    operators: Operators,
    states: StateWriter,
    calls: Arc<Semaphore>,
    default_sender: Option<Sender>,
    /// Those that tell what became of what they took.
    reporting: OperatorSecrets,
    stop: CancellationToken,
}

impl Deliver {
    pub(crate) fn new(
        operators: Operators,
        states: StateWriter,
        config: &WorkerConfig,
        stop: CancellationToken,
    ) -> Self {
        let calls = Arc::new(Semaphore::new(config.max_calls));
        let (default_sender, reporting) = (config.default_sender.clone(), config.receipt_secrets.clone());
        Self { operators, states, calls, default_sender, reporting, stop }
    }

    /// How long recipients are taken for: no round of calls takes longer.
    pub(crate) fn lease(operators: &Operators) -> Duration {
        operators.longest_round() + LEASE_MARGIN
    }

    /// Works on a message until it is final for all recipients, put off, or cannot go on. What it logs names the
    /// message by the span around it.
    pub(crate) async fn deliver(&self, body: &MessageBody) -> Decision {
        let shared = Shared {
            text: body.text.as_str().into(),
            from: body.from.clone().or_else(|| self.default_sender.clone()),
            coding: coding(body),
        };
        for chunk in body.recipients.as_slice().chunks(CHUNK) {
            match self.deliver_chunk(body, chunk, &shared).await {
                Ok(Chunk::Known) => {}
                Ok(Chunk::NeverAccepted) => return Decision::DeadLetter("it was never accepted".into()),
                Err(Stopping) => return Decision::Requeue,
            }
        }
        Decision::Ack
    }

    async fn deliver_chunk(
        &self,
        body: &MessageBody,
        recipients: &[Recipient],
        shared: &Shared,
    ) -> Result<Chunk, Stopping> {
        let message_id = body.message_identifier.clone();
        let request = BeginRequest { customer: body.customer_id, message_id, recipients: recipients.to_vec() };
        loop {
            // Before the lease begins: waiting for a free call must not use it up.
            let calls = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
            let permits = self.stop.run_until_cancelled(self.calls.acquire_many(calls)).await;
            let Some(Ok(permits)) = permits.filter(|_| !self.stop.is_cancelled()) else { return Err(Stopping) };
            let Begin { claimed, busy, finished, unknown } = self.states.begin(task_key(body), &request).await?;
            if unknown > 0 {
                tracing::error!(
                    recipients = unknown,
                    "recipients are not stored: they were never charged and are not sent"
                );
                if claimed.is_empty() && finished == 0 && busy.is_none() {
                    return Ok(Chunk::NeverAccepted);
                }
            }
            let left_over = self.send_and_settle(body, claimed, shared).await?;
            drop(permits);
            let wait = match (left_over, busy) {
                (LeftOver::Nothing, None) => return Ok(Chunk::Known),
                (LeftOver::TryAgain, None) => LOOK_AGAIN.1,
                // Another worker, or another copy of this message, holds some of them.
                (_, Some(lease_left)) => lease_left.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1),
            };
            if self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Err(Stopping);
            }
        }
    }

    async fn send_and_settle(
        &self,
        body: &MessageBody,
        claimed: Vec<ClaimedRecipient>,
        shared: &Shared,
    ) -> Result<LeftOver, Stopping> {
        if claimed.is_empty() {
            return Ok(LeftOver::Nothing);
        }
        let verdicts = join_all(claimed.iter().map(|recipient| self.send(body, recipient, shared))).await;
        let (mut settlements, mut unknown) = (Vec::new(), Vec::new());
        for (recipient, verdict) in claimed.into_iter().zip(verdicts) {
            match settlement(&recipient, verdict, &self.reporting) {
                Some(settlement) => settlements.push(settlement),
                None => unknown.push(recipient),
            }
        }
        let recorded = self.states.settle(task_key(body), &settlements).await?;
        series::settled(&settlements, &recorded);
        let stale = recorded.iter().filter(|recorded| !**recorded).count();
        if stale > 0 {
            tracing::warn!(
                outage = "database",
                stale,
                "a lease ended before the outcome was recorded; its new owner decides"
            );
        }
        self.put_off(body, &unknown).await
    }

    async fn send(&self, body: &MessageBody, claimed: &ClaimedRecipient, shared: &Shared) -> Verdict {
        let submission = Submission {
            message_id: body.message_identifier.clone(),
            recipient: claimed.recipient.clone(),
            text: Arc::clone(&shared.text),
            kind: body.kind,
            from: shared.from.clone(),
            coding: shared.coding,
        };
        let prior = match claimed.resumed {
            None => Prior::First,
            Some(age) if age < OVERDUE => Prior::Resumed,
            Some(_) => Prior::Overdue,
        };
        if prior == Prior::First
            && let Some(age) = age::of(&body.message_identifier)
        {
            metrics::histogram!(names::ACCEPT_TO_OPERATOR_SECONDS, names::label::TYPE => body.kind.as_str())
                .record(age);
        }
        self.operators.send(&submission, prior).await
    }

    async fn put_off(&self, body: &MessageBody, unknown: &[ClaimedRecipient]) -> Result<LeftOver, Stopping> {
        if unknown.is_empty() {
            return Ok(LeftOver::Nothing);
        }
        let jitter = rand::rng().random_range(0.8..=1.2);
        let put_off = PutOff::of_age(0.5 * jitter, (DEFER.0.mul_f64(jitter), DEFER.1.mul_f64(jitter)));
        let message_id = &body.message_identifier;
        tracing::warn!(
            outage = "operators",
            recipients = unknown.len(),
            "the outcome is not known; the operators are asked again later"
        );
        match self.states.defer(task_key(body), message_id, unknown, put_off).await? {
            Deferred::Scheduled => {
                series::deferred(unknown.len());
                Ok(LeftOver::Nothing)
            }
            // The relay has not recorded its publish yet: hold the message and ask again from here.
            Deferred::NotYet => Ok(LeftOver::TryAgain),
        }
    }
}

/// What is known of a chunk when nothing more can be done about it.
enum Chunk {
    Known,
    NeverAccepted,
}

/// What a round leaves to do for this delivery.
enum LeftOver {
    Nothing,
    TryAgain,
}

/// What all recipients of a message have in common.
struct Shared {
    text: Arc<str>,
    from: Option<Sender>,
    coding: Option<Coding>,
}

/// How the text goes over the air, where its request asked about that. It was cut in the same way when it was charged.
fn coding(body: &MessageBody) -> Option<Coding> {
    match Segmentation::of(&body.text, EncodingChoice::from(body.encoding?)) {
        Ok(segmentation) => Some(Coding { encoding: segmentation.encoding(), segments: segmentation.count() }),
        Err(error) => {
            tracing::warn!(%error, "a message names an encoding that cannot carry it; the operator decides");
            None
        }
    }
}

/// How a verdict is recorded; `None` while nobody can tell.
fn settlement(recipient: &ClaimedRecipient, verdict: Verdict, reporting: &OperatorSecrets) -> Option<Settlement> {
    let failed = |provider| Some(Settlement::new(recipient, Outcome::Failed { provider }));
    match verdict {
        Verdict::Accepted { operator, provider_message_id } => {
            let reports = reporting.has(operator.as_str());
            let done = Outcome::Done { provider: operator.to_string() };
            Some(Settlement::new(recipient, done).called(provider_message_id.map(|id| Called { id, reports })))
        }
        Verdict::Rejected { operator, .. } => failed(operator.to_string()),
        Verdict::Failed { .. } => failed(String::new()),
        Verdict::Unknown { .. } => None,
    }
}

/// Writes for one customer keep to one task, so that their refunds do not wait for each other's row lock.
fn task_key(body: &MessageBody) -> u64 {
    body.customer_id.get().unsigned_abs()
}
