//! What all sessions of an SMSC share: its behaviour, its decisions, its journal.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use smpp::{Bind, BindMode, Sm, Status};
use tokio::{sync::watch, time::Instant};

use crate::{
    InvalidBehaviour, clock,
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

/// What sessions are told; each number counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signals {
    /// They are to end at once.
    pub(crate) cuts: u64,
    /// They are to be unbound.
    pub(crate) unbinds: u64,
    /// There may be something to do.
    wakes: u64,
}

/// Everything that sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: SmscOptions,
    pub(crate) signals: watch::Sender<Signals>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    behaviour: SmscBehaviour,
    /// Submits by recipient, where a rule counts them.
    calls: Keys,
    journal: Journal<SmscEntry>,
    stats: SmscStats,
    arrived: LastSecond,
    taken: LastSecond,
    deliveries: Deliveries,
    last_id: u64,
    last_session: u64,
    bound: usize,
    receivers: usize,
}

/// What the session has to do with a `submit_sm`.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) reply: Reply,
    /// What the reply waits for.
    pub(crate) hold: Option<Weak<Hold>>,
    /// Receipts, and when each is due at the earliest; they are handed over when the reply is given.
    pub(crate) after: Vec<(Instant, Delivery)>,
}

/// How a `submit_sm` is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer { status: Status, id: String, delay: Duration },
    Nothing,
    Cut,
}

/// What a session has to do, and when there may be more.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) next: Option<Instant>,
    pub(crate) enquires: Option<Duration>,
}

impl Shared {
    pub(crate) fn new(options: SmscOptions) -> io::Result<Self> {
        let inner = Inner {
            behaviour: SmscBehaviour::default(),
            calls: Keys::new(options.capacity.max(1)),
            journal: Journal::open(options.capacity, options.journal.as_deref())?,
            stats: SmscStats::default(),
            arrived: LastSecond::default(),
            taken: LastSecond::default(),
            deliveries: Deliveries::default(),
            last_id: options.first_id,
            last_session: 0,
            bound: 0,
            receivers: 0,
        };
        Ok(Self { options, signals: watch::Sender::default(), inner: Mutex::new(inner) })
    }

    pub(crate) fn set_behaviour(&self, behaviour: SmscBehaviour) -> Result<(), InvalidBehaviour> {
        behaviour.check()?;
        let mut inner = self.lock();
        inner.behaviour = behaviour;
        inner.calls.reset_calls();
        drop(inner);
        self.wake();
        Ok(())
    }

    /// The number of a new connection.
    pub(crate) fn connect(&self) -> u64 {
        let mut inner = self.lock();
        inner.last_session += 1;
        inner.last_session
    }

    /// Grants or refuses a bind.
    pub(crate) fn bind(&self, session: u64, mode: BindMode, bind: &Bind) -> Status {
        let mut inner = self.lock();
        let status = inner.judge(bind, &self.options);
        if status == Status::OK {
            inner.stats.binds += 1;
            inner.bound += 1;
            inner.receivers += usize::from(mode != BindMode::Transmitter);
        } else {
            inner.stats.binds_refused += 1;
        }
        let (system_id, version) = (bind.system_id.clone(), bind.interface_version);
        let event = SmscEvent::Bind { mode: mode.into(), system_id, version, status: status.0 };
        inner.record(&self.options.name, session, event);
        status
    }

    /// Decides about a message and records the decision, in one step: the journal is in the order of decisions. `unanswered` submits of
    /// the session are, with this one.
    pub(crate) fn submit(&self, session: u64, sm: &Sm, sequence: u32, unanswered: usize) -> Decided {
        let now = Instant::now();
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.stats.max_window = inner.stats.max_window.max(unanswered);
        inner.stats.max_per_second = inner.stats.max_per_second.max(inner.arrived.add(now));
        let recipient = &sm.destination.address;
        let (mut decision, mut mode) = inner.decide(recipient, now);
        let id = decision.is_accepted().then(|| inner.next_id(&self.options.name));
        let status = match mode {
            SmscMode::Accept { .. } => Some(Status::OK.0),
            SmscMode::Status { code } => Some(code.0),
            SmscMode::Silent | SmscMode::Cut => None,
        };
        let entry = SmscSubmit::new(sm, sequence, decision, status, id.clone());
        if !inner.record(&self.options.name, session, SmscEvent::SubmitSm(Box::new(entry))) {
            // What is not in the journal was not accepted.
            (decision, mode) = (SmscDecision::Refused, SmscMode::Status { code: Status::SYSTEM_ERROR });
        }
        inner.stats.count(decision);
        let mut decided = Decided { reply: Reply::of(mode, id.clone()), hold: None, after: Vec::new() };
        if decision.is_accepted() {
            let accepted = Accepted { seq: inner.last_id, id: id.unwrap_or_default(), recipient: recipient.clone() };
            let (source, destination) = (sm.source.clone(), sm.destination.clone());
            let message = Arc::new(Message { accepted, source, destination });
            let is_first = inner.report(&message, sm.registered_delivery, now, &mut decided);
            drop(guard);
            self.wake_if(is_first);
        }
        decided
    }

    /// Records a message that came where none may.
    pub(crate) fn refuse_submit(&self, session: u64, sm: &Sm, sequence: u32) {
        let status = Some(Status::INVALID_BIND_STATUS.0);
        let entry = SmscSubmit::new(sm, sequence, SmscDecision::NotBound, status, None);
        self.record(session, SmscEvent::SubmitSm(Box::new(entry)));
    }

    /// Takes over receipts.
    pub(crate) fn push(&self, deliveries: Vec<(Instant, Delivery)>) {
        if deliveries.is_empty() {
            return;
        }
        let mut inner = self.lock();
        let mut is_first = false;
        for (due, delivery) in deliveries {
            is_first |= inner.push(due, delivery);
        }
        drop(inner);
        self.wake_if(is_first);
    }

    /// What a bound session has to do; `room` is for so many receipts.
    pub(crate) fn work(&self, now: Instant, room: usize) -> Work {
        let mut inner = self.lock();
        let deliveries = inner.deliveries.take(now, room);
        let next = inner.deliveries.next().filter(|_| room > deliveries.len());
        Work { deliveries, next, enquires: inner.behaviour.enquires }
    }

    /// Records that a receipt is sent.
    pub(crate) fn sent(&self, session: u64, delivery: &Delivery, sequence: u32) {
        let event = SmscEvent::DeliverSm {
            message_id: delivery.message.accepted.id.clone(),
            receipt_id: delivery.receipt.id_of(&delivery.message),
            state: delivery.receipt.state().word().to_owned(),
            sequence,
        };
        let mut inner = self.lock();
        inner.stats.receipts_sent += 1;
        inner.record(&self.options.name, session, event);
    }

    /// Records the answer to a receipt: one that is refused for now comes again later.
    pub(crate) fn delivered(&self, session: u64, mut delivery: Delivery, sequence: u32, status: Status) {
        use smpp::SubmitClass::{Accepted, Rejected};
        let message_id = delivery.message.accepted.id.clone();
        let is_released = delivery.release();
        let mut inner = self.lock();
        let event = SmscEvent::DeliverSmResp { message_id, sequence, status: status.0 };
        inner.record(&self.options.name, session, event);
        match status.submit_class() {
            Accepted => inner.stats.receipts_taken += 1,
            Rejected(_) => inner.stats.receipts_given_up += 1,
            _ => {
                let is_kept = inner.deliveries.push_again(Instant::now(), delivery).is_ok();
                inner.stats.receipts_given_up += u64::from(!is_kept);
            }
        }
        drop(inner);
        // Other sessions may be told to answer, or to send it again.
        self.wake_if(is_released || status != Status::OK);
    }

    /// Counts an `enquire_link`; tells whether it is answered.
    pub(crate) fn enquired(&self) -> bool {
        let mut inner = self.lock();
        inner.stats.enquire_links += 1;
        inner.behaviour.answers_enquire_link
    }

    /// Counts an answer to one.
    pub(crate) fn enquire_answered(&self) {
        self.lock().stats.enquire_links_answered += 1;
    }

    /// Records the end of a connection, which was bound in `mode`.
    pub(crate) fn disconnect(&self, session: u64, mode: Option<BindMode>, why: SmscEnd) {
        let mut inner = self.lock();
        if let Some(mode) = mode {
            inner.bound -= 1;
            inner.receivers -= usize::from(mode != BindMode::Transmitter);
        }
        inner.record(&self.options.name, session, SmscEvent::Closed { why });
    }

    pub(crate) fn record(&self, session: u64, what: SmscEvent) {
        self.lock().record(&self.options.name, session, what);
    }

    pub(crate) fn journal(&self, after: u64) -> Vec<SmscEntry> {
        self.lock().journal.after(after).cloned().collect()
    }

    pub(crate) fn clear_journal(&self) {
        let mut inner = self.lock();
        inner.journal.clear();
        inner.stats = SmscStats::default();
    }

    pub(crate) fn stats(&self) -> SmscStats {
        let inner = self.lock();
        SmscStats {
            sessions: inner.bound,
            receipts_waiting: inner.deliveries.len(),
            journal_dropped: inner.journal.dropped(),
            ..inner.stats.clone()
        }
    }

    pub(crate) fn unbind_all(&self) {
        self.signals.send_modify(|signals| signals.unbinds += 1);
    }

    pub(crate) fn cut_all(&self) {
        self.signals.send_modify(|signals| signals.cuts += 1);
    }

    pub(crate) fn wake(&self) {
        self.signals.send_modify(|signals| signals.wakes += 1);
    }

    fn wake_if(&self, is_needed: bool) {
        if is_needed {
            self.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reply {
    fn of(mode: SmscMode, id: Option<String>) -> Self {
        let id = id.unwrap_or_default();
        match mode {
            SmscMode::Accept { delay } => Self::Answer { status: Status::OK, id, delay },
            SmscMode::Status { code } => Self::Answer { status: code, id: String::new(), delay: Duration::ZERO },
            SmscMode::Silent => Self::Nothing,
            SmscMode::Cut => Self::Cut,
        }
    }
}

impl Inner {
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

    fn next_id(&mut self, name: &str) -> String {
        self.last_id += 1;
        self.behaviour.ids.write(name, self.last_id)
    }

    /// Adds the receipts of `message` that are asked for to `decided` or to those that wait; tells whether one is the first of these.
    fn report(&mut self, message: &Arc<Message>, registered: u8, now: Instant, decided: &mut Decided) -> bool {
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
                Timing::BeforeAnswer => before.push(delivery),
                Timing::After(delay) => decided.after.push((now + delay, delivery)),
            }
        }
        decided.hold = (!before.is_empty()).then(|| Arc::downgrade(&hold));
        before.into_iter().fold(false, |is_first, delivery| is_first | self.push(now, delivery))
    }

    /// Tells whether it is the first of those that wait.
    fn push(&mut self, due: Instant, delivery: Delivery) -> bool {
        let is_first = self.deliveries.next().is_none_or(|next| due < next);
        let is_kept = self.deliveries.push(due, delivery).is_ok();
        self.stats.receipts_given_up += u64::from(!is_kept);
        is_first && is_kept
    }

    /// Tells whether it could be.
    fn record(&mut self, smsc: &str, session: u64, what: SmscEvent) -> bool {
        let (seq, at_ms) = (self.journal.next_seq(), clock::now_ms());
        let is_written = self.journal.append(SmscEntry { seq, at_ms, smsc: smsc.to_owned(), session, what }).is_ok();
        self.stats.journal_failed += u64::from(!is_written);
        is_written
    }
}
