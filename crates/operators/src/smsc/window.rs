//! What was sent on a session and is not answered yet.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use metrics::Gauge;
use tokio::{sync::oneshot, time::Instant};

use super::{
    pool::{Reply, Taken},
    submitted::{LateVerdict, Submitted},
};

/// The highest number of a PDU (section 5.1.4).
const MAX_SEQUENCE: u32 = 0x7FFF_FFFF;

/// An unanswered part.
pub(super) struct Entry {
    pub(super) answer: oneshot::Sender<Reply>,
    pub(super) submitted: Arc<Submitted>,
    pub(super) part: usize,
    pub(super) sent_at: Instant,
    /// How many bytes were to be written before it.
    offset: u64,
}

/// The unanswered parts of one session. A place is free again with the answer, and not when nobody waits for that any more: the
/// SMSC still counts it (twitter-archive/cloudhopper-smpp issue 46).
pub(super) struct Window {
    entries: HashMap<u32, Entry>,
    /// By age.
    order: BTreeSet<(Instant, u32)>,
    last: u32,
    most: usize,
    kept_for: Duration,
    used: Gauge,
}

impl Window {
    /// Places for `most` parts, each taken for `kept_for` at most.
    pub(super) fn new(most: u16, kept_for: Duration, used: Gauge) -> Self {
        let (entries, order) = (HashMap::new(), BTreeSet::new());
        Self { entries, order, last: 0, most: most.into(), kept_for, used }
    }

    /// A number for a PDU that none has which is not answered.
    pub(super) fn sequence(&mut self) -> u32 {
        loop {
            self.last = if self.last >= MAX_SEQUENCE { 1 } else { self.last + 1 };
            if !self.entries.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < self.most
    }

    /// Whether nothing is unanswered.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether somebody waits for one of the answers.
    pub(super) fn is_awaited(&self) -> bool {
        self.entries.values().any(|entry| !entry.answer.is_closed())
    }

    /// A part is to be written under this number, after so many bytes.
    pub(super) fn add(&mut self, sequence: u32, taken: Taken, offset: u64, now: Instant) {
        let Taken { submitted, part, answer, .. } = taken;
        self.entries.insert(sequence, Entry { answer, submitted, part, sent_at: now, offset });
        self.order.insert((now, sequence));
        self.used.increment(1.0);
    }

    /// The part of this number, which is answered.
    pub(super) fn take(&mut self, sequence: u32) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        self.order.remove(&(entry.sent_at, sequence));
        self.used.decrement(1.0);
        Some(entry)
    }

    /// Lets go of what was never answered. When the next one has to go.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        while let Some((sent_at, sequence)) = self.order.first().copied() {
            if sent_at + self.kept_for > now {
                return Some(sent_at + self.kept_for);
            }
            self.take(sequence);
        }
        None
    }

    /// When the oldest one was sent that is not answered.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.order.first().map(|(sent_at, _)| *sent_at)
    }

    /// The session is over, after so many bytes were written: tells all who wait. What that says of messages for which nobody does.
    pub(super) fn end(&mut self, written: u64) -> Vec<(Arc<Submitted>, LateVerdict)> {
        let mut late = Vec::new();
        for (_, entry) in self.entries.drain() {
            self.used.decrement(1.0);
            let reply = if entry.offset >= written { Reply::NotSent } else { Reply::Lost };
            if reply == Reply::NotSent
                && let Some(verdict) = entry.submitted.refuse(entry.part, false)
            {
                late.push((entry.submitted, verdict));
            }
            // Who does not wait any more knows already that nothing is known.
            let _left = entry.answer.send(reply);
        }
        self.order.clear();
        late
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Nobody may be left waiting, whatever ends a session; that it was written is the careful answer.
        self.end(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn taken() -> (Taken, oneshot::Receiver<Reply>) {
        let submission = testing::submission();
        let submitted = Arc::new(Submitted::new(submission.message_id, submission.recipient, 1));
        let (answer, answered) = oneshot::channel();
        (Taken { sm: Box::default(), submitted, part: 0, answer }, answered)
    }

    fn window(most: u16) -> Window {
        Window::new(most, Duration::from_secs(70), Gauge::noop())
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_begin_at_one_wrap_and_skip_those_in_use() {
        let mut window = window(10);
        assert_eq!([window.sequence(), window.sequence()], [1, 2]);
        window.add(1, taken().0, 0, Instant::now());
        window.last = MAX_SEQUENCE - 1;
        assert_eq!([window.sequence(), window.sequence()], [MAX_SEQUENCE, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_with_the_answer_or_after_a_while() {
        let mut window = window(2);
        let (first, _left) = taken();
        window.add(1, first, 0, Instant::now());
        tokio::time::advance(Duration::from_secs(10)).await;
        window.add(2, taken().0, 100, Instant::now());
        assert!(!window.has_room());
        assert!(window.take(1).is_some() && window.take(1).is_none() && window.has_room());
        assert_eq!(window.expire(Instant::now()), Some(Instant::now() + Duration::from_secs(70)));
        tokio::time::advance(Duration::from_secs(70)).await;
        assert_eq!(window.expire(Instant::now()), None);
        assert!(window.entries.is_empty() && window.take(2).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_written_was_not_sent() {
        let mut window = window(3);
        let ((whole, mut first), (part, mut second), (none, mut third)) = (taken(), taken(), taken());
        for (sequence, taken, offset) in [(1, whole, 0), (2, part, 100), (3, none, 200)] {
            window.add(sequence, taken, offset, Instant::now());
        }
        window.end(150);
        let told = [first.try_recv(), second.try_recv(), third.try_recv()];
        assert_eq!(told, [Ok(Reply::Lost), Ok(Reply::Lost), Ok(Reply::NotSent)]);
    }
}
