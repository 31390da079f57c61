//! What one SMPP operator's sessions measure.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use instruments::names::{self, label};
use metrics::{Counter, Gauge, Histogram};
use smpp::Status;
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

/// Settings that an SMSC finds wrong are told so often at most.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The metrics of one operator.
pub(super) struct Meters {
    operator: OperatorName,
    sessions: [Gauge; SessionState::ALL.len()],
    /// By the status's name.
    responses: HashMap<&'static str, Counter>,
    pub(super) window_used: Gauge,
    pub(super) submit_seconds: Histogram,
    pub(super) partial: Counter,
    pub(super) late: Counter,
    pub(super) without_id: Counter,
    pub(super) from_handsets: Counter,
    pub(super) receipts_refused: Counter,
    told_at: Mutex<Option<Instant>>,
}

impl Meters {
    pub(super) fn new(operator: &OperatorName) -> Self {
        let name = || operator.as_str().to_owned();
        let state = |state: SessionState| metrics::gauge!(names::SMPP_SESSIONS, label::OPERATOR => name(), label::STATE => state.as_str());
        let counter = |metric: &'static str| metrics::counter!(metric, label::OPERATOR => name());
        let answers = |status: &'static str| {
            let counter =
                metrics::counter!(names::SMPP_RESPONSES_TOTAL, label::OPERATOR => name(), label::STATUS => status);
            counter.absolute(0);
            (status, counter)
        };
        let responses = Status::names().map(answers).collect();
        for reason in REASONS {
            metrics::counter!(names::SMPP_RECONNECTS_TOTAL, label::OPERATOR => name(), label::REASON => reason)
                .absolute(0);
        }
        Self {
            operator: operator.clone(),
            sessions: SessionState::ALL.map(state),
            responses,
            window_used: metrics::gauge!(names::SMPP_WINDOW_USED, label::OPERATOR => name()),
            submit_seconds: metrics::histogram!(names::SMPP_SUBMIT_SECONDS, label::OPERATOR => name()),
            partial: counter(names::PARTIAL_SUBMITS_TOTAL),
            late: counter(names::SMPP_LATE_ANSWERS_TOTAL),
            without_id: counter(names::SMPP_ANSWERS_WITHOUT_ID_TOTAL),
            from_handsets: counter(names::SMPP_MESSAGES_FROM_HANDSETS_TOTAL),
            receipts_refused: counter(names::SMPP_RECEIPTS_REFUSED_TOTAL),
            told_at: Mutex::new(None),
        }
    }

    pub(super) fn answered(&self, status: Status, after: Duration) {
        if let Some(responses) = self.responses.get(status.name()) {
            responses.increment(1);
        }
        self.submit_seconds.record(after);
    }

    pub(super) fn ended(&self, reason: &'static str) {
        let name = self.operator.as_str().to_owned();
        metrics::counter!(names::SMPP_RECONNECTS_TOTAL, label::OPERATOR => name, label::REASON => reason).increment(1);
    }

    pub(super) fn bind_refused(&self, status: Status) {
        let name = self.operator.as_str().to_owned();
        metrics::counter!(names::SMPP_BIND_FAILURES_TOTAL, label::OPERATOR => name, label::STATUS => status.name())
            .increment(1);
    }

    /// The SMSC finds our way of writing messages wrong: that is told once a minute, however many it refuses.
    pub(super) fn settings_are_wrong(&self, status: Status) {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *told_at = Some(Instant::now());
            let operator = &self.operator;
            tracing::error!(%operator, %status, "an SMSC refuses messages for how they are written; look at its parameters in OPERATORS");
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
