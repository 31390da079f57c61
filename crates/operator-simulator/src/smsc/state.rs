//! What an SMSC knows, and how it decides.

use std::{
    io,
    sync::{Arc, Weak},
    time::Duration,
};

use smpp::{Bind, BindMode, Sm, Status};
use tokio::time::Instant;

use crate::{
    clock,
    journal::Journal,
    keys::Keys,
    receipts::{Accepted, Timing},
    smsc::{
        SmscBehaviour, SmscDecision, SmscEnd, SmscEntry, SmscEvent, SmscMode, SmscOptions, SmscReceipt, SmscStats,
        SmscSubmit,
        deliveries::{Deliveries, Delivery, Hold},
        rate::LastSecond,
        receipts::Message,
    },
};

/// Everything that is behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    name: String,
    pub(crate) behaviour: SmscBehaviour,
    /// Submits by recipient, where a rule counts them.
    calls: Keys,
    pub(crate) journal: Journal<SmscEntry>,
    pub(crate) stats: SmscStats,
    /// Submits that were read.
    arrived: LastSecond,
    /// Those of them that were not above `tps`.
    taken: LastSecond,
    pub(crate) deliveries: Deliveries,
    last_id: u64,
    last_session: u64,
    bound: usize,
    receivers: usize,
}

/// What a session has to do with a `submit_sm`.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) reply: Reply,
    /// What the reply waits for.
    pub(crate) hold: Option<Weak<Hold>>,
    /// Receipts, and when each is due at the earliest; they are handed over when the reply is given.
    pub(crate) after: Vec<(Instant, Delivery)>,
    /// Whether other sessions have something to do before that.
    pub(crate) is_reported: bool,
}

/// How a `submit_sm` is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer { status: Status, id: String, delay: Duration },
    Nothing,
    Cut,
}

impl Reply {
    fn status(&self) -> Option<u32> {
        match self {
            Self::Answer { status, .. } => Some(status.0),
            Self::Nothing | Self::Cut => None,
        }
    }
}

impl State {
    pub(crate) fn new(options: &SmscOptions) -> io::Result<Self> {
        Ok(Self {
            name: options.name.clone(),
            behaviour: SmscBehaviour::default(),
            calls: Keys::new(options.capacity.max(1)),
            journal: Journal::open(options.capacity, options.journal.as_deref())?,
            stats: SmscStats::default(),
            arrived: LastSecond::default(),
            taken: LastSecond::default(),
            deliveries: Deliveries::new(options.capacity),
            last_id: options.first_id,
            last_session: 0,
            bound: 0,
            receivers: 0,
        })
    }

    pub(crate) fn set_behaviour(&mut self, behaviour: SmscBehaviour) {
        self.behaviour = behaviour;
        self.calls.reset_calls();
    }

    /// The number of a new connection.
    pub(crate) fn connect(&mut self) -> u64 {
        self.last_session += 1;
        self.last_session
    }

    /// Grants or refuses a bind.
    pub(crate) fn bind(&mut self, session: u64, mode: BindMode, bind: &Bind, options: &SmscOptions) -> Status {
        let status = self.judge(bind, options);
        if status == Status::OK {
            self.stats.binds += 1;
            self.bound += 1;
            self.receivers += usize::from(mode != BindMode::Transmitter);
        } else {
            self.stats.binds_refused += 1;
        }
        let (system_id, version) = (bind.system_id.clone(), bind.interface_version);
        self.record(session, SmscEvent::Bind { mode: mode.into(), system_id, version, status: status.0 });
        status
    }

    /// Takes note of the end of a connection, which was bound in `mode`.
    pub(crate) fn disconnect(&mut self, session: u64, mode: Option<BindMode>, why: SmscEnd) {
        if let Some(mode) = mode {
            self.bound -= 1;
            self.receivers -= usize::from(mode != BindMode::Transmitter);
        }
        self.record(session, SmscEvent::Closed { why });
    }

    /// Decides about a message; `unanswered` submits of the session are, with this one.
    pub(crate) fn submit(&mut self, session: u64, sm: &Sm, sequence: u32, unanswered: usize) -> Decided {
        let now = Instant::now();
        self.stats.max_window = self.stats.max_window.max(unanswered);
        self.stats.max_per_second = self.stats.max_per_second.max(self.arrived.add(now));
        let (decision, mode) = self.decide(&sm.destination.address, now);
        let message = decision.is_accepted().then(|| self.message(sm));
        let id = message.as_ref().map(|message| message.accepted.id.clone());
        let reply = match mode {
            SmscMode::Accept { delay } => {
                Reply::Answer { status: Status::OK, id: id.clone().unwrap_or_default(), delay }
            }
            SmscMode::Status { code, delay } => Reply::Answer { status: code, id: String::new(), delay },
            SmscMode::Silent => Reply::Nothing,
            SmscMode::Cut => Reply::Cut,
        };
        self.stats.count(decision);
        let entry = SmscSubmit::new(sm, sequence, decision, reply.status(), id);
        self.record(session, SmscEvent::SubmitSm(Box::new(entry)));
        let mut decided = Decided { reply, hold: None, after: Vec::new(), is_reported: false };
        if let Some(message) = message {
            self.report(&message, sm.registered_delivery, now, &mut decided);
        }
        decided
    }

    /// Adds one that waits; tells whether it is the first of these.
    pub(crate) fn push(&mut self, due: Instant, delivery: Delivery) -> bool {
        let is_first = self.deliveries.next().is_none_or(|next| due < next);
        let is_kept = self.deliveries.push(due, delivery).is_ok();
        self.stats.receipts_given_up += u64::from(!is_kept);
        is_first && is_kept
    }

    /// Takes note of the answer to a receipt: one that is refused for now comes again later.
    pub(crate) fn delivered(&mut self, session: u64, delivery: Delivery, sequence: u32, status: Status) {
        use smpp::SubmitClass::{Accepted, Rejected};
        let message_id = delivery.message.accepted.id.clone();
        self.record(session, SmscEvent::DeliverSmResp { message_id, sequence, status: status.0 });
        match status.submit_class() {
            Accepted => self.stats.receipts_taken += 1,
            Rejected(_) => self.stats.receipts_given_up += 1,
            _ => {
                let is_kept = self.deliveries.push_again(Instant::now(), delivery).is_ok();
                self.stats.receipts_given_up += u64::from(!is_kept);
            }
        }
    }

    pub(crate) fn record(&mut self, session: u64, what: SmscEvent) {
        let (seq, at_ms, smsc) = (self.journal.next_seq(), clock::now_ms(), self.name.clone());
        let is_written = self.journal.append(SmscEntry { seq, at_ms, smsc, session, what }).is_ok();
        self.stats.journal_failed += u64::from(!is_written);
    }

    pub(crate) fn stats(&self) -> SmscStats {
        SmscStats {
            sessions: self.bound,
            receipts_waiting: self.deliveries.len(),
            journal_dropped: self.journal.dropped(),
            ..self.stats.clone()
        }
    }

    fn judge(&self, bind: &Bind, options: &SmscOptions) -> Status {
        if let Some(status) = self.behaviour.refuse_binds {
            return status;
        }
        if bind.system_id != options.system_id {
            return Status::INVALID_SYSTEM_ID;
        }
        if bind.password != options.password {
            return Status::INVALID_PASSWORD;
        }
        let is_full = self.behaviour.max_binds.is_some_and(|most| self.bound >= most);
        if is_full { Status::ALREADY_BOUND } else { Status::OK }
    }

    fn decide(&mut self, recipient: &str, now: Instant) -> (SmscDecision, SmscMode) {
        let tps = usize::try_from(self.behaviour.tps).unwrap_or(usize::MAX);
        if tps > 0 && self.taken.count(now) >= tps {
            return (SmscDecision::Throttled, SmscMode::THROTTLE);
        }
        self.taken.add(now);
        let rule = self.behaviour.rule_for(recipient);
        let is_over = rule.times.is_some_and(|times| {
            let key = self.calls.entry(recipient);
            key.calls = key.calls.saturating_add(1);
            key.calls > times
        });
        let mode = if is_over { SmscMode::ACCEPT } else { rule.mode };
        let decision = match mode {
            SmscMode::Accept { .. } => SmscDecision::Accepted,
            SmscMode::Status { .. } => SmscDecision::Refused,
            SmscMode::Silent => SmscDecision::Silent,
            SmscMode::Cut => SmscDecision::Cut,
        };
        (decision, mode)
    }

    fn message(&mut self, sm: &Sm) -> Arc<Message> {
        self.last_id += 1;
        let id = self.behaviour.ids.write(&self.name, self.last_id);
        let accepted = Accepted { seq: self.last_id, id, recipient: sm.destination.address.clone() };
        Arc::new(Message { accepted, source: sm.source.clone(), destination: sm.destination.clone() })
    }

    /// Adds the receipts of `message` that are asked for to those that wait, or to `decided`.
    fn report(&mut self, message: &Arc<Message>, registered: u8, now: Instant, decided: &mut Decided) {
        let rule = self.behaviour.rule_for(&message.accepted.recipient);
        let receipts: &[SmscReceipt] = rule.receipts.as_ref().unwrap_or(&self.behaviour.receipts);
        let asked = receipts.iter().filter(|receipt| receipt.is_asked_for(registered));
        let each = asked.flat_map(|receipt| (0..receipt.sends()).map(move |_| receipt));
        let hold = Arc::new(Hold);
        let mut before = Vec::new();
        for receipt in each {
            let delivery = Delivery::new(message, receipt);
            match receipt.timing() {
                Timing::BeforeAnswer if self.receivers > 0 => before.push(delivery.holding(&hold)),
                // Nobody will answer it soon.
                Timing::BeforeAnswer => before.push(delivery),
                Timing::After(delay) => decided.after.push((now + delay, delivery)),
            }
        }
        decided.hold = (!before.is_empty()).then(|| Arc::downgrade(&hold));
        for delivery in before {
            decided.is_reported |= self.push(now, delivery);
        }
    }
}
