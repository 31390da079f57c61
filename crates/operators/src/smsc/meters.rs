//! What one SMPP operator's sessions measure.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use instruments::names::{self, label};
use metrics::{Counter, Gauge, Histogram};
use smpp::{Status, Unreadable};
use tokio::time::Instant;

use crate::OperatorName;

/// How a session is, as the label `state` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    /// It has no socket, and waits before it tries again.
    Waiting,
    /// It connects and binds.
    Binding,
    /// It works.
    Bound,
    /// It works, and was asked to slow down.
    Throttled,
}

impl SessionState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Binding, Self::Bound, Self::Throttled];

    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Binding => "binding",
            Self::Bound => "bound",
            Self::Throttled => "throttled",
        }
    }
}

/// Why a session ended, as the label `reason` names it.
pub(super) const REASONS: [&str; 7] = ["connect", "tls", "refused", "closed", "silent", "unbound", "not_smpp"];

/// With these SMSCs refuse binds; any other is `other` in the label `status`.
const REFUSALS: [Status; 9] = [
    Status::INVALID_COMMAND,
    Status::INVALID_BIND_STATUS,
    Status::ALREADY_BOUND,
    Status::SYSTEM_ERROR,
    Status::BIND_FAILED,
    Status::INVALID_PASSWORD,
    Status::INVALID_SYSTEM_ID,
    Status::INVALID_SYSTEM_TYPE,
    Status::THROTTLED,
];
const OTHER: &str = "other";
/// In the label `status` of responses, that what we wrote was not understood.
const NOT_UNDERSTOOD: &str = "generic_nack";

/// What an SMSC finds wrong, or we of it, is told so often at most.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The metrics of one operator.
pub(super) struct Meters {
    operator: OperatorName,
    sessions: [Gauge; SessionState::ALL.len()],
    responses: ByLabel,
    reconnects: ByLabel,
    bind_failures: ByLabel,
    pub(super) window_used: Gauge,
    /// What bound sessions have room for.
    pub(super) window_size: Gauge,
    pub(super) submit_seconds: Histogram,
    pub(super) partial: Counter,
    pub(super) late: Counter,
    pub(super) without_id: Counter,
    pub(super) from_handsets: Counter,
    pub(super) receipts_refused: Counter,
    pub(super) receipts_put_off: Counter,
    pub(super) unreadable: Counter,
    settings_told: Told,
    unreadable_told: Told,
}

impl Meters {
    pub(super) fn new(operator: &OperatorName) -> Self {
        let name = || operator.as_str().to_owned();
        let state = |state: SessionState| metrics::gauge!(names::SMPP_SESSIONS, label::OPERATOR => name(), label::STATE => state.as_str());
        let counter = |metric: &'static str| metrics::counter!(metric, label::OPERATOR => name());
        let statuses = Status::names().chain([NOT_UNDERSTOOD]);
        let refusals = REFUSALS.into_iter().map(Status::name).chain([OTHER]);
        Self {
            operator: operator.clone(),
            sessions: SessionState::ALL.map(state),
            responses: ByLabel::new(operator, names::SMPP_RESPONSES_TOTAL, label::STATUS, statuses),
            reconnects: ByLabel::new(operator, names::SMPP_RECONNECTS_TOTAL, label::REASON, REASONS),
            bind_failures: ByLabel::new(operator, names::SMPP_BIND_FAILURES_TOTAL, label::STATUS, refusals),
            window_used: metrics::gauge!(names::SMPP_WINDOW_USED, label::OPERATOR => name()),
            window_size: metrics::gauge!(names::SMPP_WINDOW_SIZE, label::OPERATOR => name()),
            submit_seconds: metrics::histogram!(names::SMPP_SUBMIT_SECONDS, label::OPERATOR => name()),
            partial: counter(names::PARTIAL_SUBMITS_TOTAL),
            late: counter(names::SMPP_LATE_ANSWERS_TOTAL),
            without_id: counter(names::SMPP_ANSWERS_WITHOUT_ID_TOTAL),
            from_handsets: counter(names::SMPP_MESSAGES_FROM_HANDSETS_TOTAL),
            receipts_refused: counter(names::SMPP_RECEIPTS_REFUSED_TOTAL),
            receipts_put_off: counter(names::SMPP_RECEIPTS_PUT_OFF_TOTAL),
            unreadable: counter(names::SMPP_UNREADABLE_PDUS_TOTAL),
            settings_told: Told::default(),
            unreadable_told: Told::default(),
        }
    }

    /// The SMSC judged a part.
    pub(super) fn answered(&self, status: Status, after: Duration) {
        self.responses.count(status.name());
        self.submit_seconds.record(after);
    }

    /// The SMSC could not read a part.
    pub(super) fn not_understood(&self, status: Status, after: Duration) {
        self.responses.count(NOT_UNDERSTOOD);
        self.submit_seconds.record(after);
        self.settings_are_wrong(status);
    }

    pub(super) fn ended(&self, reason: &'static str) {
        self.reconnects.count(reason);
    }

    pub(super) fn bind_refused(&self, status: Status) {
        self.bind_failures.count(status.name());
    }

    /// The SMSC finds our way of writing messages wrong: that is told once a minute, however many it refuses.
    pub(super) fn settings_are_wrong(&self, status: Status) {
        if self.settings_told.is_due() {
            let operator = &self.operator;
            tracing::error!(%operator, %status, "an SMSC refuses messages for how they are written; look at its parameters in OPERATORS");
        }
    }

    /// The SMSC sent what cannot be read: told as often at most.
    pub(super) fn cannot_read(&self, unreadable: &Unreadable) {
        self.unreadable.increment(1);
        if self.unreadable_told.is_due() {
            tracing::warn!(operator = %self.operator, %unreadable, "PDUs of an SMSC are left out");
        }
    }

    /// The SMSC could not read something, and does not say what.
    pub(super) fn something_not_understood(&self, status: Status) {
        if self.unreadable_told.is_due() {
            tracing::warn!(operator = %self.operator, %status, "an SMSC did not understand something");
        }
    }
}

/// When something was told last.
#[derive(Default)]
struct Told(Mutex<Option<Instant>>);

impl Told {
    /// Whether it is to be told again.
    fn is_due(&self) -> bool {
        let mut told_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if is_due {
            *told_at = Some(Instant::now());
        }
        is_due
    }
}

/// One metric's counters by a label, which has these values and no others.
struct ByLabel(HashMap<&'static str, Counter>);

impl ByLabel {
    fn new(
        operator: &OperatorName,
        metric: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let counter = |value| {
            let operator = operator.as_str().to_owned();
            (value, metrics::counter!(metric, label::OPERATOR => operator, label => value))
        };
        Self(values.into_iter().map(counter).collect())
    }

    /// One more of this value; of `other` where there is no such one.
    fn count(&self, value: &str) {
        if let Some(counter) = self.0.get(value).or_else(|| self.0.get(OTHER)) {
            counter.increment(1);
        }
    }
}

/// How one session is shown, for as long as there is one.
pub(super) struct Shown {
    meters: Arc<Meters>,
    state: SessionState,
}

impl Shown {
    pub(super) fn new(meters: &Arc<Meters>, state: SessionState) -> Self {
        meters.sessions[state as usize].increment(1.0);
        Self { meters: Arc::clone(meters), state }
    }

    pub(super) fn set(&mut self, state: SessionState) {
        if self.state != state {
            self.meters.sessions[self.state as usize].decrement(1.0);
            self.meters.sessions[state as usize].increment(1.0);
            self.state = state;
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.meters.sessions[self.state as usize].decrement(1.0);
    }
}
