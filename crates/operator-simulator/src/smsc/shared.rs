//! What all sessions of an SMSC share.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smpp::{Bind, BindMode, Sm, Status};
use tokio::{sync::watch, time::Instant};

use crate::{
    InvalidBehaviour,
    smsc::{
        SmscBehaviour, SmscDecision, SmscEnd, SmscEntry, SmscEvent, SmscOptions, SmscStats, SmscSubmit,
        deliveries::Delivery,
        state::{Decided, State},
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

/// What sessions, the library's users and HTTP requests have in common. The lock is held for moments only.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: SmscOptions,
    pub(crate) signals: watch::Sender<Signals>,
    state: Mutex<State>,
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
        let state = Mutex::new(State::new(&options)?);
        Ok(Self { options, signals: watch::Sender::default(), state })
    }

    pub(crate) fn set_behaviour(&self, behaviour: SmscBehaviour) -> Result<(), InvalidBehaviour> {
        behaviour.check()?;
        self.lock().set_behaviour(behaviour);
        self.wake();
        Ok(())
    }

    /// The number of a new connection.
    pub(crate) fn connect(&self) -> u64 {
        self.lock().connect()
    }

    /// Grants or refuses a bind.
    pub(crate) fn bind(&self, session: u64, mode: BindMode, bind: &Bind) -> Status {
        self.lock().bind(session, mode, bind, &self.options)
    }

    /// Takes note of the end of a connection, which was bound in `mode`.
    pub(crate) fn disconnect(&self, session: u64, mode: Option<BindMode>, why: SmscEnd) {
        self.lock().disconnect(session, mode, why);
    }

    /// Decides about a message and records the decision, in one step: the journal is in the order of decisions.
    /// `unanswered` submits of the session are, with this one.
    pub(crate) fn submit(&self, session: u64, sm: &Sm, sequence: u32, unanswered: usize) -> Decided {
        let decided = self.lock().submit(session, sm, sequence, unanswered);
        self.wake_if(decided.is_reported);
        decided
    }

    /// Records a message that came where none may.
    pub(crate) fn refuse_submit(&self, session: u64, sm: &Sm, sequence: u32) {
        let status = Some(Status::INVALID_BIND_STATUS.0);
        let entry = SmscSubmit::new(sm, sequence, SmscDecision::NotBound, status, None);
        self.record(session, SmscEvent::SubmitSm(Box::new(entry)));
    }

    /// Takes over receipts, each with the time at which it is due.
    pub(crate) fn push(&self, deliveries: Vec<(Instant, Delivery)>) {
        if deliveries.is_empty() {
            return;
        }
        let mut state = self.lock();
        let is_first = deliveries.into_iter().fold(false, |first, (due, delivery)| state.push(due, delivery) || first);
        drop(state);
        self.wake_if(is_first);
    }

    /// What a bound session has to do; it has room for so many receipts.
    pub(crate) fn work(&self, now: Instant, room: usize) -> Work {
        let mut state = self.lock();
        let deliveries = state.deliveries.take(now, room);
        let next = state.deliveries.next().filter(|_| room > deliveries.len());
        Work { deliveries, next, enquires: state.behaviour.enquires }
    }

    /// Records that a receipt is sent.
    pub(crate) fn sent(&self, session: u64, delivery: &Delivery, sequence: u32) {
        let event = SmscEvent::DeliverSm {
            message_id: delivery.message.accepted.id.clone(),
            receipt_id: delivery.receipt.id_of(&delivery.message),
            state: delivery.receipt.state().word().to_owned(),
            sequence,
        };
        let mut state = self.lock();
        state.stats.receipts_sent += 1;
        state.record(session, event);
    }

    /// Takes note of the answer to a receipt.
    pub(crate) fn delivered(&self, session: u64, mut delivery: Delivery, sequence: u32, status: Status) {
        let is_released = delivery.release();
        self.lock().delivered(session, delivery, sequence, status);
        // Other sessions may be told to answer, or to send it again.
        self.wake_if(is_released || status != Status::OK);
    }

    /// Counts an `enquire_link`; tells whether it is answered.
    pub(crate) fn enquired(&self) -> bool {
        let mut state = self.lock();
        state.stats.enquire_links += 1;
        state.behaviour.answers_enquire_link
    }

    /// Counts an answer to one.
    pub(crate) fn enquire_answered(&self) {
        self.lock().stats.enquire_links_answered += 1;
    }

    pub(crate) fn record(&self, session: u64, what: SmscEvent) {
        self.lock().record(session, what);
    }

    pub(crate) fn journal(&self, after: u64) -> Vec<SmscEntry> {
        self.lock().journal.after(after).cloned().collect()
    }

    pub(crate) fn clear_journal(&self) {
        let mut state = self.lock();
        state.journal.clear();
        state.stats = SmscStats::default();
    }

    pub(crate) fn stats(&self) -> SmscStats {
        self.lock().stats()
    }

    pub(crate) fn unbind_all(&self) {
        self.signals.send_modify(|signals| signals.unbinds += 1);
    }

    pub(crate) fn cut_all(&self) {
        self.signals.send_modify(|signals| signals.cuts += 1);
    }

    /// Has every session look for something to do.
    pub(crate) fn wake(&self) {
        self.signals.send_modify(|signals| signals.wakes += 1);
    }

    fn wake_if(&self, is_needed: bool) {
        if is_needed {
            self.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
