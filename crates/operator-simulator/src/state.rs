//! The operators: their behaviour, the keys they know, and their decisions.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    AnsweredId, Behaviour, Decision, Entry, InvalidBehaviour, Mode, clock,
    journal::Journal,
    keys::Keys,
    posting::{Counts, Hold, Poster, Reporting},
    receipts::Accepted,
};

/// Most operators of one simulator.
const MAX_OPERATORS: usize = 100;
/// Longest name of an operator, in bytes.
const MAX_NAME: usize = 50;

/// The operator named does not exist and cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an operator's name must be 1 to {MAX_NAME} letters, digits, '_', '.' or '-', and there may be {MAX_OPERATORS} operators"
)]
pub struct UnknownOperator;

/// Why a behaviour was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BehaviourError {
    /// The behaviour itself is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidBehaviour),
    /// There is no such operator, nor can there be.
    #[error(transparent)]
    Operator(#[from] UnknownOperator),
}

/// The body of a submission; its text is read and forgotten.
#[derive(Debug, Deserialize)]
pub(crate) struct Submission {
    message_id: String,
    recipient: String,
    #[serde(rename = "text")]
    _text: String,
    r#type: String,
    from: Option<String>,
    encoding: Option<String>,
    segments: Option<u32>,
}

/// What the connection's handler has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// 200 with a receipt, after a delay.
    Accept { receipt: String, delay: Duration },
    /// Another status.
    Answer { code: u16 },
    /// No answer.
    Stall,
    /// No answer, and close.
    HangUp,
}

/// What was decided about a submission.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) action: Action,
    /// Of a submission that has receipts.
    pub(crate) hold: Option<Hold>,
}

/// Counts of one operator since the start or the last `DELETE /journal`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorStats {
    /// Submissions accepted, duplicates included.
    pub accepted: u64,
    /// Submissions rejected.
    pub rejected: u64,
    /// Submissions answered with another status.
    pub failed: u64,
    /// Submissions neither taken nor answered.
    pub stalled: u64,
    /// Submissions not taken, connection closed.
    pub reset: u64,
    /// Accepted submissions whose key was recognised.
    pub duplicates: u64,
    /// Different keys accepted.
    pub accepted_keys: u64,
    /// Posts of receipts that were answered with 2xx.
    #[serde(default)]
    pub receipts_posted: u64,
    /// Posts of receipts that were given up: refused, not taken within a minute, or too many.
    #[serde(default)]
    pub receipts_refused: u64,
}

impl OperatorStats {
    fn count(&mut self, decision: Decision) {
        match decision {
            Decision::Accepted => self.accepted += 1,
            Decision::Rejected => self.rejected += 1,
            Decision::Failed => self.failed += 1,
            Decision::Stalled => self.stalled += 1,
            Decision::Reset => self.reset += 1,
        }
    }
}

/// Counts of all operators.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// By the operator's name.
    pub operators: BTreeMap<String, OperatorStats>,
    /// Entries that are no longer in memory because it was full.
    pub journal_dropped: u64,
}

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct State {
    inner: Mutex<Inner>,
    poster: Poster,
    key_capacity: usize,
}

#[derive(Debug)]
struct Inner {
    /// Set once the simulator stops: from then on nothing is decided.
    is_stopped: bool,
    journal: Journal<Entry>,
    operators: BTreeMap<String, Operator>,
}

#[derive(Debug)]
struct Operator {
    behaviour: Behaviour,
    keys: Keys,
    stats: OperatorStats,
    /// Where and how the behaviour's receipts are posted.
    reporting: Option<Arc<Reporting>>,
    receipts: Arc<Counts>,
}

impl State {
    pub(crate) fn new(journal: Journal<Entry>, poster: Poster, key_capacity: usize) -> Self {
        let inner = Mutex::new(Inner { is_stopped: false, journal, operators: BTreeMap::new() });
        Self { inner, poster, key_capacity: key_capacity.max(1) }
    }

    pub(crate) fn set_behaviour(&self, name: &str, mut behaviour: Behaviour) -> Result<(), BehaviourError> {
        let reporting = behaviour.receipts.take().map(Reporting::parse).transpose()?;
        let mut inner = self.lock();
        let operator = inner.operator(name, self.key_capacity)?;
        operator.reporting = reporting.map(|reporting| Arc::new(reporting.counted_in(&operator.receipts)));
        operator.behaviour = behaviour;
        operator.keys.reset_calls();
        Ok(())
    }

    /// Decides about one submission and records the decision, in one step: the journal is in the order of decisions.
    pub(crate) fn submit(
        &self,
        name: &str,
        key: &str,
        traceparent: Option<&str>,
        submission: Submission,
    ) -> Result<io::Result<Decided>, UnknownOperator> {
        let mut inner = self.lock();
        if inner.is_stopped {
            return Ok(Ok(Decided { action: Action::HangUp, hold: None }));
        }
        let seq = inner.journal.next_seq();
        let operator = inner.operator(name, self.key_capacity)?;
        let id = operator.new_id(name, seq);
        let (action, decision, duplicate) = operator.decide(key, &submission.recipient, &id);
        let reporting = operator.reporting.clone().filter(|_| decision == Decision::Accepted && !duplicate);
        let report =
            reporting.map(|reporting| (reporting, Accepted { seq, id, recipient: submission.recipient.clone() }));
        let Submission { message_id, recipient, r#type, from, encoding, segments, .. } = submission;
        let entry = Entry {
            seq,
            operator: name.to_owned(),
            key: key.to_owned(),
            message_id,
            recipient,
            r#type,
            from,
            encoding,
            segments,
            decision,
            duplicate,
            traceparent: traceparent.map(ToOwned::to_owned),
            at_ms: clock::now_ms(),
        };
        // Still under the lock: after a stop no post is begun.
        Ok(inner.journal.append(entry).map(|()| {
            let hold = report.map(|(reporting, accepted)| self.poster.begin(&reporting, &accepted));
            Decided { action, hold }
        }))
    }

    /// From the return of this call on, submissions are neither recorded nor answered.
    pub(crate) fn stop(&self) {
        self.lock().is_stopped = true;
    }

    /// Ends all posts of receipts, those that wait too. To be called after [`stop`](Self::stop).
    pub(crate) async fn end_posts(&self) {
        self.poster.stop().await;
    }

    pub(crate) fn journal(&self, after: u64, operator: Option<&str>) -> Vec<Entry> {
        let inner = self.lock();
        let entries = inner.journal.after(after);
        entries.filter(|entry| operator.is_none_or(|name| entry.operator == name)).cloned().collect()
    }

    pub(crate) fn clear_journal(&self) {
        let mut inner = self.lock();
        inner.journal.clear();
        for operator in inner.operators.values_mut() {
            operator.stats = OperatorStats::default();
            operator.receipts.clear();
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let inner = self.lock();
        let operators = inner.operators.iter().map(|(name, operator)| (name.clone(), operator.stats()));
        Stats { operators: operators.collect(), journal_dropped: inner.journal.dropped() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The operator of that name; the first mention makes it.
    fn operator(&mut self, name: &str, key_capacity: usize) -> Result<&mut Operator, UnknownOperator> {
        if !self.operators.contains_key(name) {
            if !is_name(name) || self.operators.len() >= MAX_OPERATORS {
                return Err(UnknownOperator);
            }
            self.operators.insert(name.to_owned(), Operator::new(key_capacity));
        }
        self.operators.get_mut(name).ok_or(UnknownOperator)
    }
}

impl Operator {
    fn new(key_capacity: usize) -> Self {
        Self {
            behaviour: Behaviour::default(),
            keys: Keys::new(key_capacity),
            stats: OperatorStats::default(),
            reporting: None,
            receipts: Arc::default(),
        }
    }

    /// What the operator called `name` calls the submission with the number `seq`.
    fn new_id(&self, name: &str, seq: u64) -> String {
        let form = self.reporting.as_ref().map_or(AnsweredId::Name, |reporting| reporting.ids());
        form.write(name, seq)
    }

    fn stats(&self) -> OperatorStats {
        let (receipts_posted, receipts_refused) = (self.receipts.posted(), self.receipts.refused());
        OperatorStats { receipts_posted, receipts_refused, ..self.stats.clone() }
    }

    /// The action for a submission, what the journal says of it, and whether its key was recognised.
    fn decide(&mut self, key: &str, recipient: &str, new_receipt: &str) -> (Action, Decision, bool) {
        let key = self.keys.entry(key);
        key.calls += 1;
        let mode = self.behaviour.rule_for(recipient).mode_of_call(key.calls);
        let recognised = key.receipt.clone().filter(|_| self.behaviour.dedupe);
        let is_duplicate = recognised.is_some();
        let mode = if is_duplicate { Mode::ACCEPT } else { mode };
        let receipt = recognised.unwrap_or_else(|| new_receipt.to_owned());
        let (action, decision) = match mode {
            Mode::Accept { delay } => (Action::Accept { receipt: receipt.clone(), delay }, Decision::Accepted),
            Mode::AcceptThenStall => (Action::Stall, Decision::Accepted),
            Mode::AcceptThenReset => (Action::HangUp, Decision::Accepted),
            Mode::Status { code } => (Action::Answer { code }, Decision::Failed),
            Mode::Reject { code } => (Action::Answer { code }, Decision::Rejected),
            Mode::Stall => (Action::Stall, Decision::Stalled),
            Mode::Reset => (Action::HangUp, Decision::Reset),
        };
        self.stats.count(decision);
        self.stats.duplicates += u64::from(is_duplicate);
        if decision == Decision::Accepted && key.receipt.is_none() {
            self.stats.accepted_keys += 1;
            key.receipt = Some(receipt);
        }
        (action, decision, is_duplicate)
    }
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_simulators_without_receipts_can_be_read() {
        let older = r#"{"accepted": 3, "rejected": 0, "failed": 0, "stalled": 0, "reset": 0, "duplicates": 1,
                        "accepted_keys": 2}"#;
        let stats: OperatorStats = serde_json::from_str(older).expect("valid");
        assert_eq!(stats, OperatorStats { accepted: 3, duplicates: 1, accepted_keys: 2, ..OperatorStats::default() });
    }
}
