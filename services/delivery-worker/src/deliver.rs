//! One message: its recipients are taken, sent and recorded in chunks, each under a lease that outlasts its round.

use std::{borrow::Cow, sync::Arc, time::Duration};

use domain::{EncodingChoice, Expiry, Lane, MessageBody, PerLane, Recipient, Segmentation, Sender};
use futures_util::future::join_all;
use operators::{Coding, Operators, Prior, Submission, Verdict};
use persistence::{Begin, BeginRequest, ClaimedRecipient, Deferral, Deferred, Outcome, PutOff, Resumed, Settlement};
use rand::RngExt as _;
use telemetry::names;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    WorkerConfig, age,
    end::{End, Rules},
    series,
    state_writer::{StateWriter, Stopping},
    turn::{self, Turn},
};

/// What the lease leaves for the database on top of the longest round of calls.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// Age after which a message with an unknown outcome is offered to the next operator too: late is worse than twice.
const OVERDUE: Duration = Duration::from_secs(30);

/// How soon a message is tried again: half of its age, within these.
const DEFER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// How often a message is looked at again that somebody else holds or that cannot be put off yet.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// How often the rest of a message is tried to be put off. Only an event that is being published right now cannot be scheduled.
const SCHEDULE_TRIES: u32 = 30;

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
    in_hand: Duration,
    default_sender: Option<Sender>,
    /// How long messages may be sent that do not say.
    validity: PerLane<Option<Duration>>,
    rules: Rules,
    stop: CancellationToken,
}

impl Deliver {
    pub(crate) fn new(
        operators: Operators,
        states: StateWriter,
        rules: Rules,
        config: &WorkerConfig,
        stop: CancellationToken,
    ) -> Self {
        let calls = Arc::new(Semaphore::new(config.max_calls));
        let WorkerConfig { in_hand, validity, .. } = *config;
        let default_sender = config.default_sender.clone();
        Self { operators, states, calls, in_hand, default_sender, validity, rules, stop }
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
            expiry: self.expiry(body),
        };
        match self.deliver_all(body, &shared).await {
            Ok(Chunk::Known | Chunk::OutOfTime) => Decision::Ack,
            Ok(Chunk::NeverAccepted) => Decision::DeadLetter("it was never accepted".into()),
            Err(Stopping) => Decision::Requeue,
        }
    }

    async fn deliver_all(&self, body: &MessageBody, shared: &Shared) -> Result<Chunk, Stopping> {
        let until = Instant::now() + self.in_hand;
        let segments = turn::segments(&self.operators, body, shared.coding);
        let open = self.open_recipients(body, segments).await?;
        let mut rest = &open[..];
        while !rest.is_empty() {
            let together = turn::together(&self.operators, segments).min(rest.len());
            let chunk;
            (chunk, rest) = rest.split_at(together);
            match self.deliver_chunk(body, chunk, segments * chunk.len(), shared, until).await? {
                Chunk::Known => {}
                Chunk::NeverAccepted => return Ok(Chunk::NeverAccepted),
                Chunk::OutOfTime => return self.put_off_rest(body, shared.expiry).await,
            }
        }
        Ok(Chunk::Known)
    }

    /// Those that are to be sent to. A message that takes several turns comes again and again, and takes none for what is over.
    async fn open_recipients<'a>(
        &self,
        body: &'a MessageBody,
        segments: usize,
    ) -> Result<Cow<'a, [Recipient]>, Stopping> {
        let all = body.recipients.as_slice();
        let takes_turns = self.operators.most_at_once().is_some();
        if !takes_turns || all.len() <= turn::together(&self.operators, segments) {
            return Ok(Cow::Borrowed(all));
        }
        let finished = self.states.finished(&body.message_identifier).await?;
        Ok(all.iter().filter(|recipient| !finished.contains(recipient.as_str())).cloned().collect())
    }

    /// Has the message published again, for those that were not taken yet.
    async fn put_off_rest(&self, body: &MessageBody, expiry: Option<Expiry>) -> Result<Chunk, Stopping> {
        tracing::info!(
            outage = "operators",
            "there is no room for the rest of a message for long; it comes again later"
        );
        self.schedule(body, Self::pause(DEFER.1, expiry)).await?;
        Ok(Chunk::OutOfTime)
    }

    /// Has the message published again when this time has come.
    async fn schedule(&self, body: &MessageBody, put_off: PutOff) -> Result<(), Stopping> {
        let deferral = Deferral { maybe_taken: Vec::new(), untaken: Vec::new(), put_off };
        for _ in 0..SCHEDULE_TRIES {
            if self.states.defer(task_key(body), &body.message_identifier, &deferral).await? == Deferred::Scheduled {
                return Ok(());
            }
            self.sleep(LOOK_AGAIN.1).await?;
        }
        // An event that is gone: whoever has room for it finds out that it is over.
        Err(Stopping)
    }

    /// When a message may not be sent any more: as its request said, or as those do that say nothing.
    fn expiry(&self, body: &MessageBody) -> Option<Expiry> {
        let of_lane = self.validity[Lane::of(body.kind)].map(|validity| match body.send_at {
            Some(time) => Expiry::At(time + validity),
            None => Expiry::After(validity),
        });
        body.expires_at.map(Expiry::At).or(of_lane)
    }

    async fn deliver_chunk(
        &self,
        body: &MessageBody,
        recipients: &[Recipient],
        segments: usize,
        shared: &Shared,
        until: Instant,
    ) -> Result<Chunk, Stopping> {
        let message_id = body.message_identifier.clone();
        let request = BeginRequest {
            customer: body.customer_id,
            message_id,
            recipients: recipients.to_vec(),
            expiry: shared.expiry,
        };
        loop {
            // Before the lease begins: waiting for room or a free call must not use it up.
            let room = match self.turn(body, segments, shared, until).await? {
                Turn::Room(room) => Some(room),
                Turn::Expired => None,
                Turn::OutOfTime => return Ok(Chunk::OutOfTime),
            };
            let calls = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
            let permits = self.stop.run_until_cancelled(self.calls.acquire_many(calls)).await;
            let Some(Ok(permits)) = permits.filter(|_| !self.stop.is_cancelled()) else { return Err(Stopping) };
            let Begin { claimed, busy, finished, expired, unknown } =
                self.states.begin(task_key(body), &request).await?;
            series::expired(expired);
            if unknown > 0 {
                tracing::error!(
                    recipients = unknown,
                    "recipients are not stored: they were never charged and are not sent"
                );
                if claimed.is_empty() && finished == 0 && expired == 0 && busy.is_none() {
                    return Ok(Chunk::NeverAccepted);
                }
            }
            let left_over = self.send_and_settle(body, claimed, shared, room.is_some()).await?;
            drop((permits, room));
            let wait = match (left_over, busy) {
                (LeftOver::Nothing, None) => return Ok(Chunk::Known),
                (LeftOver::TryAgain, None) => LOOK_AGAIN.1,
                // Another worker, or another copy of this message, holds some of them.
                (_, Some(lease_left)) => lease_left.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1),
            };
            self.sleep(wait).await?;
        }
    }

    async fn sleep(&self, time: Duration) -> Result<(), Stopping> {
        self.stop.run_until_cancelled(tokio::time::sleep(time)).await.ok_or(Stopping)
    }

    /// Waits for room at an operator, also where none can be asked: given back to its queue again and again a message would end among the
    /// dead letters.
    async fn turn(
        &self,
        body: &MessageBody,
        segments: usize,
        shared: &Shared,
        until: Instant,
    ) -> Result<Turn, Stopping> {
        let turn = Turn::wait_for(&self.operators, body, segments, shared.expiry, until);
        self.stop.run_until_cancelled(turn).await.ok_or(Stopping)
    }

    async fn send_and_settle(
        &self,
        body: &MessageBody,
        claimed: Vec<ClaimedRecipient>,
        shared: &Shared,
        has_room: bool,
    ) -> Result<LeftOver, Stopping> {
        if claimed.is_empty() {
            return Ok(LeftOver::Nothing);
        }
        let is_given_up = |recipient: &ClaimedRecipient| {
            let given_up = |resumed| self.rules.is_given_up(resumed, since_due(body, resumed), shared.expiry);
            recipient.resumed.is_some_and(given_up)
        };
        let (given_up, claimed): (Vec<_>, Vec<_>) = claimed.into_iter().partition(is_given_up);
        let verdicts = if has_room {
            join_all(claimed.iter().map(|recipient| self.send(body, recipient, shared))).await
        } else {
            claimed.iter().map(without_room).collect()
        };
        let mut settlements: Vec<_> =
            given_up.iter().map(|recipient| Settlement::new(recipient, Outcome::NeverKnown)).collect();
        let (mut maybe_taken, mut untaken) = (Vec::new(), Vec::new());
        for (recipient, verdict) in claimed.into_iter().zip(verdicts) {
            match self.rules.end_of(&recipient, verdict, shared.expiry, body) {
                End::Settled(settlement) => settlements.push(settlement),
                End::MaybeTaken => maybe_taken.push(recipient),
                End::Untaken => untaken.push(recipient),
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
        self.put_off(body, maybe_taken, untaken, shared.expiry).await
    }

    async fn send(&self, body: &MessageBody, claimed: &ClaimedRecipient, shared: &Shared) -> Verdict {
        let submission = Submission {
            message_id: body.message_identifier.clone(),
            recipient: claimed.recipient.clone(),
            text: Arc::clone(&shared.text),
            kind: body.kind,
            from: shared.from.clone(),
            coding: shared.coding,
            validity: rest(shared.expiry, body),
        };
        let prior = match claimed.resumed.map(|resumed| since_due(body, resumed)) {
            None => Prior::First,
            Some(age) if age < OVERDUE => Prior::Resumed,
            Some(_) => Prior::Overdue,
        };
        if prior == Prior::First
            && let Some(age) = age::of(body)
        {
            metrics::histogram!(names::ACCEPT_TO_OPERATOR_SECONDS, names::label::TYPE => body.kind.as_str())
                .record(age);
        }
        self.operators.send(&submission, prior).await
    }

    /// How long it waits: half of its age, at most so long.
    fn pause(most: Duration, expiry: Option<Expiry>) -> PutOff {
        let jitter = rand::rng().random_range(0.8..=1.2);
        PutOff::of_age(0.5 * jitter, (DEFER.0.mul_f64(jitter), most.mul_f64(jitter))).until(expiry)
    }

    async fn put_off(
        &self,
        body: &MessageBody,
        maybe_taken: Vec<ClaimedRecipient>,
        untaken: Vec<ClaimedRecipient>,
        expiry: Option<Expiry>,
    ) -> Result<LeftOver, Stopping> {
        let recipients = maybe_taken.len() + untaken.len();
        if recipients == 0 {
            return Ok(LeftOver::Nothing);
        }
        // What no operator has is not kept waiting for what one may have.
        let most = if untaken.is_empty() { self.rules.longest_pause(DEFER.1) } else { DEFER.1 };
        let put_off = Self::pause(most, expiry);
        tracing::warn!(
            outage = "operators",
            maybe_taken = maybe_taken.len(),
            untaken = untaken.len(),
            "no operator has answered for good; they are put off"
        );
        let may_send_twice = !maybe_taken.is_empty() && !self.operators.recognise_repetitions();
        let deferral = Deferral { maybe_taken, untaken, put_off };
        match self.states.defer(task_key(body), &body.message_identifier, &deferral).await? {
            Deferred::Scheduled => {}
            // The relay has not recorded its publish yet. To ask again at once could deliver it once more.
            Deferred::NotYet if may_send_twice => self.schedule(body, put_off).await?,
            // Here it could not: hold the message and ask again from here.
            Deferred::NotYet => return Ok(LeftOver::TryAgain),
        }
        series::deferred(recipients);
        Ok(LeftOver::Nothing)
    }
}

/// What is known of a chunk when nothing more can be done about it.
enum Chunk {
    Known,
    NeverAccepted,
    /// It was not begun, for its delivery was in hand for long.
    OutOfTime,
}

/// What no operator was asked about.
fn without_room(recipient: &ClaimedRecipient) -> Verdict {
    let reason = "no operator had room for it".to_owned();
    if recipient.resumed.is_some() { Verdict::Unknown { reason } } else { Verdict::Waiting { reason } }
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
    /// When it may not be sent any more.
    expiry: Option<Expiry>,
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

/// Since it was accepted, or since its time came: what waited for that was with no operator before.
fn since_due(body: &MessageBody, Resumed { age, now }: Resumed) -> Duration {
    body.send_at.map_or(age, |time| (now - time).to_std().unwrap_or(Duration::ZERO).min(age))
}

/// For how many seconds it may still be delivered, for the operator: by this machine's clock.
fn rest(expiry: Option<Expiry>, body: &MessageBody) -> Option<u64> {
    let expiry = expiry?;
    let age = age::of(body).unwrap_or_default();
    Some(expiry.rest(age::now(), age).as_secs().max(1))
}

/// Writes for one customer keep to one task, so that their refunds do not wait for each other's row lock.
fn task_key(body: &MessageBody) -> u64 {
    body.customer_id.get().unsigned_abs()
}
