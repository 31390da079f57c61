//! What waits for a session with room for it: express before normal, at a pace.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{Lane, PerLane};
use smpp::{Sm, Status};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{config::SmppConfig, pace::Pace, submitted::Submitted, throttle::Slowness};

/// Parts that may wait; more are told at once that there is no room.
const MOST_WAITING: usize = 10_000;

/// One part on its way to a session.
pub(super) struct Job {
    pub(super) sm: Box<Sm>,
    pub(super) submitted: Arc<Submitted>,
    pub(super) part: usize,
    taken: oneshot::Sender<()>,
    answer: oneshot::Sender<Reply>,
}

/// One part that a session has taken.
pub(super) struct Taken {
    pub(super) sm: Box<Sm>,
    pub(super) submitted: Arc<Submitted>,
    pub(super) part: usize,
    pub(super) answer: oneshot::Sender<Reply>,
}

/// What a session says of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// The SMSC answered, with what it calls the part.
    Answered(Status, String),
    /// The SMSC could not read what we wrote.
    NotUnderstood(Status),
    /// The session ended after some of it was written.
    Lost,
    /// The session ended before anything of it was written.
    NotSent,
}

/// What became of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Submitting {
    /// A session had it.
    Replied(Reply),
    /// It was written, and no answer came in time.
    NoAnswer,
    /// No session had room for it.
    Busy,
    /// There was no session.
    NoSession,
}

/// What a session may do next.
pub(super) enum Next {
    /// Send this.
    Send(Taken),
    /// Nothing before then: what waits has to keep to the pace.
    NotBefore(Instant),
    /// Nothing waits.
    Nothing,
}

/// The queues of one operator, and how many sessions serve them.
pub(super) struct Pool {
    waiting: Mutex<Waiting>,
    /// Counts what was added, so that sessions look again.
    added: watch::Sender<u64>,
    sessions: watch::Sender<Sessions>,
    /// Another operator may take what this one cannot take now.
    has_others: bool,
    wait: Duration,
    timeout: Duration,
}

struct Waiting {
    lanes: PerLane<Line>,
    pace: Pace,
}

/// What waits in one lane. The rest of a message goes before what has not begun: half a message is none.
#[derive(Default)]
struct Line {
    rest: VecDeque<Job>,
    fresh: VecDeque<Job>,
}

/// How many sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sessions {
    /// Those that can send.
    pub(super) bound: u16,
    /// Those of them that were asked to slow down, and send one message at a time.
    pub(super) throttled: u16,
    /// Those that were, and send nothing for as long as a message waits.
    pub(super) paused: u16,
    /// Those that only receive.
    pub(super) receivers: u16,
    /// When there were none any more.
    pub(super) since: Option<Instant>,
}

impl Sessions {
    fn going(&mut self, slowness: Slowness) -> Option<&mut u16> {
        match slowness {
            Slowness::None => None,
            Slowness::Throttled => Some(&mut self.throttled),
            Slowness::Paused => Some(&mut self.paused),
        }
    }
}

impl Pool {
    pub(super) fn new(config: &SmppConfig, has_others: bool) -> Self {
        let (tps, wait, timeout) = (config.tps, config.wait(), config.timeout);
        let waiting = Waiting { lanes: PerLane::from_fn(|_| Line::default()), pace: Pace::new(tps) };
        let sessions = Sessions { bound: 0, throttled: 0, paused: 0, receivers: 0, since: Some(Instant::now()) };
        let (added, sessions) = (watch::Sender::new(0), watch::Sender::new(sessions));
        Self { waiting: Mutex::new(waiting), added, sessions, has_others, wait, timeout }
    }

    /// Sends one part: waits for a session with room, and then for the answer.
    ///
    /// Dropping the future gives the part up where it waits; where it was written, an answer to it counts as a late one.
    pub(super) async fn submit(&self, lane: Lane, sm: Box<Sm>, submitted: &Arc<Submitted>, part: usize) -> Submitting {
        if self.is_away() {
            return Submitting::NoSession;
        }
        if self.has_others && self.all_pause() && !submitted.has_any() {
            return Submitting::Busy;
        }
        // However late it is taken, an attempt has its end.
        let until = Instant::now() + self.wait + self.timeout;
        let (taken, mut is_taken) = oneshot::channel();
        let (answer, mut answered) = oneshot::channel();
        let job = Job { sm, submitted: Arc::clone(submitted), part, taken, answer };
        if !self.add(lane, job) {
            return Submitting::Busy;
        }
        if !self.is_taken(&mut is_taken, submitted).await {
            let has_session = self.sessions.borrow().bound > 0;
            return if has_session { Submitting::Busy } else { Submitting::NoSession };
        }
        match timeout_at(until.min(Instant::now() + self.timeout), &mut answered).await {
            Ok(Ok(reply)) => Submitting::Replied(reply),
            // A session that ends answers for all it has.
            Ok(Err(_)) => Submitting::Replied(Reply::Lost),
            Err(_) => {
                answered.close();
                answered.try_recv().map_or(Submitting::NoAnswer, Submitting::Replied)
            }
        }
    }

    /// Whether a session takes it in time. The rest of a message that is on its way has longer: until half of the time for its answer is over.
    async fn is_taken(&self, is_taken: &mut oneshot::Receiver<()>, submitted: &Submitted) -> bool {
        for wait in [self.wait, self.timeout / 2] {
            if timeout(wait, &mut *is_taken).await.is_ok() {
                return true;
            }
            if !submitted.is_begun() {
                break;
            }
        }
        // It may have been taken just now.
        is_taken.close();
        is_taken.try_recv().is_ok()
    }

    /// `false` where there is no room for it.
    fn add(&self, lane: Lane, job: Job) -> bool {
        let mut waiting = self.lock();
        waiting.forget_given_up();
        if waiting.lanes.iter().map(Line::len).sum::<usize>() >= MOST_WAITING {
            return false;
        }
        waiting.lanes[lane].push(job);
        drop(waiting);
        self.added.send_modify(|added| *added = added.wrapping_add(1));
        true
    }

    /// What a session with room sends next.
    pub(super) fn next(&self, now: Instant) -> Next {
        let mut waiting = self.lock();
        waiting.forget_given_up();
        loop {
            if waiting.lanes.iter().all(|line| line.len() == 0) {
                return Next::Nothing;
            }
            if let Some(until) = waiting.pace.not_before(now) {
                return Next::NotBefore(until);
            }
            let Some(job) = Lane::ALL.into_iter().find_map(|lane| waiting.lanes[lane].pop()) else {
                return Next::Nothing;
            };
            let Job { sm, submitted, part, taken, answer } = job;
            if taken.send(()).is_ok() {
                submitted.sent(part);
                waiting.pace.sent(now);
                return Next::Send(Taken { sm, submitted, part, answer });
            }
        }
    }

    /// Tells when something was added.
    pub(super) fn additions(&self) -> watch::Receiver<u64> {
        self.added.subscribe()
    }

    /// A session, which sends or only receives, begins or ends to work.
    pub(super) fn session(&self, begins: bool, sends: bool) {
        let change = |count: u16| if begins { count + 1 } else { count.saturating_sub(1) };
        self.sessions.send_modify(|sessions| {
            if !sends {
                sessions.receivers = change(sessions.receivers);
                return;
            }
            sessions.bound = change(sessions.bound);
            sessions.since = (sessions.bound == 0).then(Instant::now);
        });
    }

    /// A session goes slowly, or no more.
    pub(super) fn slowness(&self, before: Slowness, now: Slowness) {
        self.sessions.send_modify(|sessions| {
            if let Some(count) = sessions.going(before) {
                *count = count.saturating_sub(1);
            }
            if let Some(count) = sessions.going(now) {
                *count += 1;
            }
        });
    }

    /// How many sessions there are, and each change of it.
    pub(super) fn sessions(&self) -> watch::Receiver<Sessions> {
        self.sessions.subscribe()
    }

    /// Whether the SMSC has asked all sessions to wait for longer than messages do.
    fn all_pause(&self) -> bool {
        let Sessions { bound, paused, .. } = *self.sessions.borrow();
        bound > 0 && paused >= bound
    }

    /// Whether there has been no session for longer than anything waits for one.
    pub(super) fn is_away(&self) -> bool {
        let sessions = *self.sessions.borrow();
        sessions.bound == 0 && sessions.since.is_some_and(|since| since.elapsed() >= self.wait)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn forget_given_up(&mut self) {
        for lane in Lane::ALL {
            self.lanes[lane].forget_given_up();
        }
    }
}

impl Line {
    fn len(&self) -> usize {
        self.rest.len() + self.fresh.len()
    }

    fn push(&mut self, job: Job) {
        let line = if job.submitted.has_any() { &mut self.rest } else { &mut self.fresh };
        line.push_back(job);
    }

    fn pop(&mut self) -> Option<Job> {
        self.rest.pop_front().or_else(|| self.fresh.pop_front())
    }

    /// Those in front are the ones that have waited longest.
    fn forget_given_up(&mut self) {
        for line in [&mut self.rest, &mut self.fresh] {
            while line.front().is_some_and(|job| job.taken.is_closed()) {
                line.pop_front();
            }
        }
    }
}
