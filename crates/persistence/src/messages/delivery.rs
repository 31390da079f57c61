//! What a worker asks for and is told: recipients under a lease, and what became of them.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{CustomerId, Expiry, MessageId, Part, ProviderMessageId, Recipient};

/// Recipients of one message that a worker wants to send to.
#[derive(Debug, Clone)]
pub struct BeginRequest {
    /// Whose message it is.
    pub customer: CustomerId,
    /// The message.
    pub message_id: MessageId,
    /// Some of its recipients; keep it to a few dozen, they are locked together. SQLite takes 512 in one call.
    pub recipients: Vec<Recipient>,
    /// When it may not be sent any more, if ever.
    pub expiry: Option<Expiry>,
}

impl BeginRequest {
    /// What names each row.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&MessageId, &Recipient)> {
        self.recipients.iter().map(|recipient| (&self.message_id, recipient))
    }
}

/// What a worker may do with the recipients it asked for.
#[derive(Debug, Default)]
pub struct Begin {
    /// These are ours until the lease ends: send them.
    pub claimed: Vec<ClaimedRecipient>,
    /// Another worker holds some; its lease ends after this time at the latest.
    pub busy: Option<Duration>,
    /// How many are in a final state already.
    pub finished: usize,
    /// How many were not sent in time: they failed, and are refunded in the same transaction.
    pub expired: usize,
    /// How many are not stored at all: they were never charged and must not be sent.
    pub unknown: usize,
}

/// A recipient under our lease.
#[derive(Debug, Clone)]
pub struct ClaimedRecipient {
    /// To whom.
    pub recipient: Recipient,
    /// That a worker had it before and left no outcome, so that an operator may already have it.
    pub resumed: Option<Resumed>,
    pub(super) customer: CustomerId,
    pub(super) message_id: MessageId,
    pub(super) token: Arc<str>,
}

/// A recipient that a worker had before, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// Since the request was accepted.
    pub age: Duration,
    /// When it was taken again.
    pub now: DateTime<Utc>,
}

/// What became of one claimed recipient.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub(super) claimed: ClaimedRecipient,
    pub(super) outcome: Outcome,
    pub(super) called: Vec<Called>,
}

/// A message, or one part of it, as the operator knows it that took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// What the operator calls it.
    pub id: ProviderMessageId,
    /// Whether the operator will tell what became of it.
    pub reports: bool,
    /// Which part it is.
    pub part: Part,
}

impl Called {
    /// The id of an operator that gave one for the whole message.
    pub fn whole(id: ProviderMessageId, reports: bool) -> Self {
        Self { id, reports, part: Part::WHOLE }
    }
}

impl ClaimedRecipient {
    /// What names its row.
    pub(super) fn pair(&self) -> (&MessageId, &Recipient) {
        (&self.message_id, &self.recipient)
    }
}

impl Settlement {
    /// The outcome of `recipient`.
    pub fn new(recipient: &ClaimedRecipient, outcome: Outcome) -> Self {
        Self { claimed: recipient.clone(), outcome, called: Vec::new() }
    }

    /// The same, with what the operator that accepted it calls it: one id, one for each part, or none. A part without
    /// an id is left out.
    #[must_use]
    pub fn called(self, called: Vec<Called>) -> Self {
        Self { called, ..self }
    }

    /// The rows that recording it writes, at most.
    pub(super) fn weight(&self) -> usize {
        self.called.len().max(1)
    }

    /// The outcome.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// The end of a recipient's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This operator accepted it.
    Done {
        /// The operator's name.
        provider: String,
    },
    /// It was definitely not accepted; it will be refunded.
    Failed {
        /// The operator that rejected it for good, or empty where none took it.
        provider: String,
    },
    /// An operator may have it, and nobody asks any more: it counts as taken, and what became of it is not known.
    NeverKnown,
}

/// Recipients of a message that are asked about again later.
#[derive(Debug, Clone)]
pub struct Deferral {
    /// An operator may have these.
    pub maybe_taken: Vec<ClaimedRecipient>,
    /// None certainly has these: the next round is a first one again.
    pub untaken: Vec<ClaimedRecipient>,
    /// How long they wait.
    pub put_off: PutOff,
}

/// So long before its time is over a message has its last round, if its pause would go beyond that; one that has less than twice as much
/// left has had it.
const LAST_ROUND: Duration = Duration::from_secs(2);

/// How long a message waits that is put off: a share of its age, within these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PutOff {
    of_age: f64,
    least: Duration,
    most: Duration,
    /// It does not wait beyond this.
    until: Option<Expiry>,
}

impl PutOff {
    /// So long, whatever its age.
    pub fn by(delay: Duration) -> Self {
        Self { of_age: 0.0, least: delay, most: delay, until: None }
    }

    /// This share of the time since the request was accepted, on the database's clock, but at least `least` and at most `most`.
    pub fn of_age(share: f64, (least, most): (Duration, Duration)) -> Self {
        Self { of_age: share, least, most, until: None }
    }

    /// The same, but no longer than until it may not be sent any more, so that it ends then; with a last round shortly before.
    #[must_use]
    pub fn until(self, expiry: Option<Expiry>) -> Self {
        Self { until: expiry, ..self }
    }

    pub(super) fn after(self, now: DateTime<Utc>, age: Duration) -> Duration {
        let share = Duration::try_from_secs_f64(age.as_secs_f64() * self.of_age).unwrap_or(self.least);
        let delay = share.min(self.most).max(self.least);
        // What is over already is only asked about.
        let Some(expiry) = self.until.filter(|expiry| !expiry.is_over(now, age)) else { return delay };
        let rest = expiry.rest(now, age);
        match rest.checked_sub(LAST_ROUND) {
            _ if delay < rest => delay,
            Some(last) if last >= LAST_ROUND => last,
            _ => rest,
        }
    }
}

/// What became of a message that was put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deferred {
    /// The outbox will publish it again after the delay.
    Scheduled,
    /// Its outbox event has not been recorded as published yet, so it cannot be scheduled: keep the delivery.
    NotYet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_in_time_for_a_last_round() {
        let put_off = PutOff::of_age(0.5, (Duration::from_secs(5), Duration::from_mins(1)));
        let after = |age, validity: Option<u64>| {
            let expiry = validity.map(|seconds| Expiry::After(Duration::from_secs(seconds)));
            put_off.until(expiry).after(DateTime::UNIX_EPOCH, Duration::from_secs(age)).as_secs()
        };
        assert_eq!([after(0, None), after(20, None), after(300, None)], [5, 10, 60]);
        // Five seconds: one more round after three, then the end.
        assert_eq!([after(0, Some(5)), after(3, Some(5))], [3, 2]);
        assert_eq!([after(0, Some(10)), after(5, Some(10)), after(8, Some(10))], [5, 3, 2]);
        assert_eq!([after(100, Some(120)), after(118, Some(120)), after(120, Some(120))], [18, 2, 60]);
    }
}
