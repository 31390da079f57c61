//! One session: a task that owns its socket, sends what waits for it, and answers what the SMSC sends.

mod inbound;
mod phase;

use std::{sync::Arc, time::Duration};

use smpp::{Body, Fault, Frame, NotSmpp, Pdu, Response, Status, SubmitClass};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{inbound::Inbound, phase::Phase};
use super::{
    Shared,
    link::{Broken, Link},
    meters::{SessionState, Shown},
    pool::{Next, Reply},
    throttle::{Slowness, Throttle},
    window::{Entry, Window},
};

/// For so long after nobody waits for an answer any more it may still come.
const LATE: Duration = Duration::from_mins(1);

/// How long closing the socket may take: an SMSC that does not read would hold it up.
const CLOSED_WITHIN: Duration = Duration::from_millis(500);

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// We stop.
    #[error("we stop")]
    Stopped,
    /// The SMSC ended it.
    #[error("the SMSC ended the session")]
    Unbound,
    /// The connection is gone, or what came on it was no SMPP.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The SMSC did not answer whether it is there.
    #[error("the SMSC did not answer for {0:?}")]
    Silent(Duration),
    /// The SMSC says that the session is in no state to send.
    #[error("the SMSC answered {0}, so the session is made anew")]
    State(Status),
}

impl From<NotSmpp> for Ended {
    fn from(error: NotSmpp) -> Self {
        Self::Broken(error.into())
    }
}

/// A session that is over.
pub(super) struct Over {
    pub(super) ended: Ended,
    /// Whether the SMSC took a message on it.
    pub(super) has_worked: bool,
}

/// A bound session.
pub(super) struct Session<S> {
    link: Link<S>,
    shared: Arc<Shared>,
    /// Whether it sends messages; a receiver does not.
    sends: bool,
    window: Window,
    throttle: Throttle,
    inbound: Inbound,
    phase: Phase,
    /// When a PDU came last: whichever it is, the SMSC is there.
    heard_at: Instant,
    /// When the SMSC was asked whether it is there, if it has said nothing since.
    asked_at: Option<Instant>,
    /// The status that says that the session is in no state to send.
    broken: Option<Status>,
    /// What the pool knows of it: whether it works, and how.
    is_counted: bool,
    slowness: Slowness,
    has_worked: bool,
}

impl<S: AsyncRead + AsyncWrite> Session<S> {
    pub(super) fn new(link: Link<S>, shared: Arc<Shared>, sends: bool) -> Self {
        let config = &shared.config;
        let window = Window::new(config.window, config.timeout + LATE, shared.meters.window_used.clone());
        let throttle = Throttle::new(config.timeout, config.wait(), config.window);
        let (inbound, phase) = (Inbound::new(Arc::clone(&shared)), Phase::Open);
        let heard_at = Instant::now();
        let (asked_at, broken, is_counted, slowness, has_worked) = (None, None, false, Slowness::None, false);
        Self {
            link,
            shared,
            sends,
            window,
            throttle,
            inbound,
            phase,
            heard_at,
            asked_at,
            broken,
            is_counted,
            slowness,
            has_worked,
        }
    }

    /// Works until the session is over. Whatever was sent and not answered is told to be unknown then.
    /// `early` is what the SMSC sent before it answered the bind.
    pub(super) async fn run(mut self, early: Vec<Pdu>, stop: &CancellationToken, shown: &mut Shown) -> Over {
        // The bind was number one.
        let _bind = self.window.sequence();
        let mut added = self.shared.pool.additions();
        self.count(true);
        for pdu in early {
            self.handle(pdu);
        }
        let ended = self.serve(stop, &mut added, shown).await;
        // Before anybody learns of it: what is told to be lost is not sent again to this session.
        self.count(false);
        for (submitted, verdict) in self.window.end(self.link.written()) {
            self.shared.tell_late(&submitted, verdict);
        }
        let ended = match (ended.err().unwrap_or(Ended::Stopped), self.broken) {
            (Ended::Stopped, Some(status)) if !stop.is_cancelled() => Ended::State(status),
            (ended, _) => ended,
        };
        let _closed = timeout(CLOSED_WITHIN, self.link.close()).await;
        Over { ended, has_worked: self.has_worked }
    }

    /// It begins or ends to work.
    fn count(&mut self, begins: bool) {
        if self.is_counted == begins {
            return;
        }
        self.is_counted = begins;
        self.shared.pool.session(begins, self.sends);
        self.tell_slowness(if begins { self.slowness } else { Slowness::None });
        if self.sends {
            let (size, places) = (&self.shared.meters.window_size, f64::from(self.shared.config.window));
            if begins { size.increment(places) } else { size.decrement(places) }
        }
    }

    async fn serve(
        &mut self,
        stop: &CancellationToken,
        added: &mut watch::Receiver<u64>,
        shown: &mut Shown,
    ) -> Result<(), Ended> {
        loop {
            while let Some(frame) = self.link.next()? {
                self.hear(frame);
            }
            let now = Instant::now();
            let wake_at = self.look_around(now)?;
            if self.phase.is_open() {
                self.tell_slowness(self.throttle.at(now));
            } else {
                // It sends nothing any more.
                self.count(false);
            }
            shown.set(if self.throttle.is_paused(now) { SessionState::Throttled } else { SessionState::Bound });
            let all_stored = self.inbound.is_empty();
            if self.phase.leaves_now(now, self.window.is_awaited(), all_stored) {
                self.say_farewell();
            }
            if self.phase.is_over(now, self.window.is_empty(), all_stored, self.link.all_written()) {
                return self.phase.end();
            }
            let (may_send, send_at) = self.send_waiting(now, added);
            let wake_at = send_at.map_or(wake_at, |send_at| send_at.min(wake_at));
            tokio::select! {
                step = self.link.step() => self.phase.judge(step)?,
                answer = self.inbound.next(), if !self.inbound.is_empty() => {
                    self.link.put(&answer);
                }
                Ok(()) = added.changed(), if may_send => {}
                () = sleep_until(wake_at) => {}
                () = stop.cancelled(), if !self.phase.is_farewell() => self.phase.we_stop(Instant::now()),
            }
        }
    }

    /// The pool is told whether the SMSC has asked to slow down.
    fn tell_slowness(&mut self, slowness: Slowness) {
        if self.slowness != slowness && self.sends {
            self.shared.pool.slowness(self.slowness, slowness);
            self.slowness = slowness;
        }
    }

    /// Sends what waits and has room. Tells whether more may be sent at once, and when otherwise.
    fn send_waiting(&mut self, now: Instant, added: &mut watch::Receiver<u64>) -> (bool, Option<Instant>) {
        added.mark_unchanged();
        let may_send = |session: &Self| {
            session.sends && session.phase.is_open() && session.window.has_room() && session.link.takes_more()
        };
        while may_send(self) {
            if let Some(until) = self.throttle.not_before(now) {
                return (false, Some(until));
            }
            match self.shared.pool.next(now) {
                Next::Send(mut taken) => {
                    let sequence = self.window.sequence();
                    let body = Body::SubmitSm(std::mem::take(&mut taken.sm));
                    let offset = self.link.put(&Pdu::request(sequence, body));
                    self.window.add(sequence, taken, offset, now);
                    self.throttle.sent(now);
                    self.shared.room.sent(now);
                }
                Next::NotBefore(until) => return (true, Some(until)),
                Next::Nothing => return (true, None),
            }
        }
        (false, None)
    }

    /// What is due: places that are free again, whether the SMSC is there. When to look again.
    fn look_around(&mut self, now: Instant) -> Result<Instant, Ended> {
        let config = &self.shared.config;
        let timeout = config.timeout;
        let freed_at = self.window.expire(now);
        let quiet_from = self.heard_at.max(self.window.oldest().unwrap_or(self.heard_at));
        // One that owes answers is asked sooner: it may be gone without a word.
        let ask_at = match self.window.oldest() {
            Some(_) => (quiet_from + timeout).min(self.heard_at + config.enquire_after),
            None => self.heard_at + config.enquire_after,
        };
        if self.asked_at.is_none() && ask_at <= now {
            let sequence = self.window.sequence();
            self.link.put(&Pdu::request(sequence, Body::EnquireLink));
            self.asked_at = Some(now);
        }
        let heard_by = match self.asked_at {
            Some(asked_at) if asked_at + timeout <= now => return Err(Ended::Silent(now - self.heard_at)),
            Some(asked_at) => asked_at + timeout,
            None => ask_at,
        };
        let throttled = self.throttle.not_before(now);
        let slower = self.throttle.changes_at(now);
        Ok([freed_at, self.phase.ends_at(), throttled, slower].into_iter().flatten().fold(heard_by, Instant::min))
    }

    fn hear(&mut self, frame: Frame) {
        let now = Instant::now();
        self.heard_at = now;
        self.asked_at = None;
        match Pdu::read(frame) {
            Ok(pdu) => self.handle(pdu),
            Err(unreadable) => {
                self.shared.meters.cannot_read(&unreadable);
                if let Some(answer) = unreadable.answer() {
                    self.link.put(&answer);
                }
            }
        }
    }

    fn handle(&mut self, Pdu { status, sequence, body }: Pdu) {
        let now = self.heard_at;
        match body {
            Body::SubmitSmResp(Response { message_id }) => self.answered(sequence, status, message_id, now),
            Body::GenericNack => self.not_understood(sequence, status),
            Body::DeliverSm(_) | Body::DataSm(_) => {
                if let Some(answer) = self.inbound.take(sequence, body) {
                    self.link.put(&answer);
                }
            }
            Body::EnquireLink => self.answer(sequence, Status::OK, Body::EnquireLinkResp),
            Body::Unbind => {
                self.answer(sequence, Status::OK, Body::UnbindResp);
                self.phase.smsc_leaves(now);
            }
            Body::UnbindResp => self.phase.unbound(),
            Body::Bind(mode, _) => {
                self.answer(sequence, Status::INVALID_BIND_STATUS, Body::BindResp(mode, smpp::BindResp::default()));
            }
            Body::SubmitSm(_) => {
                self.answer(sequence, Status::INVALID_BIND_STATUS, Body::SubmitSmResp(Response::default()));
            }
            Body::EnquireLinkResp | Body::BindResp(..) | Body::DeliverSmResp(_) | Body::DataSmResp(_) => {}
        }
    }

    fn answer(&mut self, sequence: u32, status: Status, body: Body) {
        self.link.put(&Pdu::response(sequence, status, body));
    }

    /// The SMSC answers for a part.
    fn answered(&mut self, sequence: u32, status: Status, id: String, now: Instant) {
        let Some(entry) = self.window.take(sequence) else {
            tracing::debug!(operator = %self.shared.operator, %status, "an SMSC answered for what is not known any more");
            return;
        };
        self.shared.meters.answered(status, now - entry.sent_at);
        let class = self.shared.config.class_of(status);
        match class {
            SubmitClass::Throttled => self.throttle.throttled(entry.sent_at, now),
            _ => self.throttle.answered(entry.sent_at, now),
        }
        self.has_worked |= class == SubmitClass::Accepted;
        self.reply(entry, Reply::Answered(status, id), class);
        if class == SubmitClass::SessionBroken && self.phase.is_open() {
            // What others were sent may still be answered before the session is made anew.
            self.broken = Some(status);
            self.phase.breaks(now + self.shared.config.timeout);
        }
    }

    /// Tells who waits; where nobody does, whoever keeps account of it.
    fn reply(&mut self, entry: Entry, reply: Reply, class: SubmitClass) {
        let Entry { answer, submitted, part, .. } = entry;
        let verdict = match (class, &reply) {
            (SubmitClass::Accepted, Reply::Answered(_, id)) => submitted.accept(part, self.shared.id(id)),
            (class, _) => submitted.refuse(part, matches!(class, SubmitClass::Rejected(_))),
        };
        if answer.send(reply).is_err() && class == SubmitClass::Accepted {
            self.shared.meters.late.increment(1);
        }
        if let Some(verdict) = verdict {
            self.shared.tell_late(&submitted, verdict);
        }
    }

    fn not_understood(&mut self, sequence: u32, status: Status) {
        let Some(entry) = self.window.take(sequence) else {
            self.shared.meters.something_not_understood(status);
            return;
        };
        self.shared.meters.not_understood(status, entry.sent_at.elapsed());
        self.throttle.answered(entry.sent_at, self.heard_at);
        self.reply(entry, Reply::NotUnderstood(status), SubmitClass::Rejected(Fault::Settings));
    }

    /// We stop: the SMSC is told.
    fn say_farewell(&mut self) {
        let sequence = self.window.sequence();
        self.link.put(&Pdu::request(sequence, Body::Unbind));
    }
}

#[cfg(test)]
mod tests;
