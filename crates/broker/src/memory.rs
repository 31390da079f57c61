//! The broker inside one process: the same types and the same promises as RabbitMQ, without the network.
//!
//! Nothing survives the process; whoever publishes must be able to publish again (the outbox is).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{
    Outgoing, Published, Topology,
    message::{Answer, Received},
    topology::{DELIVERY_LIMIT, dead_letter_queue},
};

/// The queues of one topology.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) topology: Topology,
    queues: Vec<Arc<Queue>>,
}

#[derive(Debug)]
struct Queue {
    name: String,
    capacity: usize,
    /// Where rejected messages go; `None` for a dead-letter queue, which also has no delivery limit.
    dead_letters: Option<Arc<Queue>>,
    messages: Mutex<Messages>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Messages {
    ready: VecDeque<Stored>,
    /// Given out and not answered; they count towards the capacity.
    unanswered: usize,
}

#[derive(Debug)]
struct Stored {
    body: Bytes,
    message_id: String,
    traceparent: Option<String>,
    /// How often it was given out and came back.
    returns: u32,
}

impl Memory {
    pub(crate) fn new(topology: Topology, capacity: usize) -> Self {
        let mut queues = Vec::new();
        for name in topology.queues() {
            let dead_letters = Arc::new(Queue::new(dead_letter_queue(name), capacity, None));
            queues.push(Arc::clone(&dead_letters));
            queues.push(Arc::new(Queue::new(name.to_owned(), capacity, Some(dead_letters))));
        }
        Self { topology, queues }
    }

    /// Publishes `batch`; only work queues are bound to the exchange.
    pub(crate) fn publish(&self, batch: Vec<Outgoing>) -> Vec<Published> {
        batch.into_iter().map(|message| self.publish_one(message)).collect()
    }

    fn publish_one(&self, message: Outgoing) -> Published {
        if let Some(reason) = message.refusal(self.topology.exchange()) {
            return Published::Returned { reason };
        }
        match self.queue(&message.routing_key) {
            Some(queue) if queue.dead_letters.is_some() => queue.push(Stored::from(message)),
            _ => Published::Returned { reason: "312 NO_ROUTE".to_owned() },
        }
    }

    /// A consumer of `queue`, which must be a queue or dead-letter queue of the topology.
    pub(crate) fn consumer(&self, queue: &str, prefetch: u16) -> Option<Consumer> {
        let queue = Arc::clone(self.queue(queue)?);
        Some(Consumer { queue, prefetch: usize::from(prefetch), given_out: Arc::default(), stopped: false })
    }

    /// Messages that wait in a queue, those given out left out.
    pub(crate) fn depth(&self, queue: &str) -> u64 {
        self.queue(queue).map_or(0, |queue| queue.lock().ready.len() as u64)
    }

    fn queue(&self, name: &str) -> Option<&Arc<Queue>> {
        self.queues.iter().find(|queue| queue.name == name)
    }
}

impl Queue {
    fn new(name: String, capacity: usize, dead_letters: Option<Arc<Queue>>) -> Self {
        Self { name, capacity, dead_letters, messages: Mutex::default(), changed: Notify::new() }
    }

    /// Every critical section leaves the messages consistent, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, message: Stored) -> Published {
        let mut messages = self.lock();
        if messages.ready.len() + messages.unanswered >= self.capacity {
            return Published::Nacked;
        }
        messages.ready.push_back(message);
        drop(messages);
        self.changed.notify_waiters();
        Published::Confirmed
    }

    /// Dead letters must not be refused (there is nowhere else to put them) nor grow without bound: the oldest go.
    fn push_dead_letter(&self, message: Stored) {
        let mut messages = self.lock();
        if messages.ready.len() + messages.unanswered >= self.capacity && messages.ready.pop_front().is_some() {
            tracing::warn!(queue = self.name, "the dead-letter queue is full: dropped its oldest message");
        }
        messages.ready.push_back(Stored { returns: 0, ..message });
        drop(messages);
        self.changed.notify_waiters();
    }

    fn answered(&self, message: Stored, answer: Answer) {
        let mut messages = self.lock();
        messages.unanswered -= 1;
        let exhausted = self.dead_letters.is_some() && message.returns >= DELIVERY_LIMIT;
        let dead = match answer {
            Answer::Ack => None,
            Answer::Return => {
                messages.ready.push_front(message);
                None
            }
            Answer::Requeue if !exhausted => {
                messages.ready.push_front(Stored { returns: message.returns.saturating_add(1), ..message });
                None
            }
            Answer::DeadLetter | Answer::Requeue => Some(message),
        };
        drop(messages);
        if let (Some(dead), Some(dead_letters)) = (dead, &self.dead_letters) {
            dead_letters.push_dead_letter(dead);
        }
        self.changed.notify_waiters();
    }
}

impl From<Outgoing> for Stored {
    fn from(message: Outgoing) -> Self {
        let Outgoing { body, message_id, traceparent, .. } = message;
        Self { body, message_id, traceparent, returns: 0 }
    }
}

/// Takes messages from one queue, at most `prefetch` unanswered at a time.
#[derive(Debug)]
pub(crate) struct Consumer {
    queue: Arc<Queue>,
    prefetch: usize,
    /// Its strong count, less one, is the number of unanswered deliveries.
    given_out: Arc<()>,
    stopped: bool,
}

impl Consumer {
    pub(crate) async fn next(&mut self) -> Option<Received<Acker>> {
        let queue = Arc::clone(&self.queue);
        loop {
            if self.stopped {
                return None;
            }
            let mut changed = std::pin::pin!(queue.changed.notified());
            // Listen before looking, so that a message pushed in between is not missed.
            changed.as_mut().enable();
            // Nothing is awaited between taking a message and giving it out: a dropped `next` loses none.
            if let Some(delivery) = self.take() {
                return Some(delivery);
            }
            changed.await;
        }
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    fn take(&self) -> Option<Received<Acker>> {
        if Arc::strong_count(&self.given_out) > self.prefetch {
            return None;
        }
        let mut messages = self.queue.lock();
        let message = messages.ready.pop_front()?;
        messages.unanswered += 1;
        drop(messages);
        Some(Received {
            body: message.body.clone(),
            message_id: Some(message.message_id.clone()),
            traceparent: message.traceparent.clone(),
            redelivered: message.returns > 0,
            acker: Acker { unanswered: Some((message, Arc::clone(&self.given_out))), queue: Arc::clone(&self.queue) },
        })
    }
}

/// Holds an unanswered message and one unit of its consumer's prefetch.
#[derive(Debug)]
pub(crate) struct Acker {
    unanswered: Option<(Stored, Arc<()>)>,
    queue: Arc<Queue>,
}

impl Acker {
    pub(crate) fn answer(mut self, answer: Answer) {
        self.settle(answer);
    }

    fn settle(&mut self, answer: Answer) {
        if let Some((message, prefetch)) = self.unanswered.take() {
            // Freed before the queue tells its consumers, so that the one who waits for it sees it.
            drop(prefetch);
            self.queue.answered(message, answer);
        }
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        self.settle(Answer::Requeue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(capacity: usize) -> Memory {
        Memory::new(Topology::new("e", "x", "n").expect("valid names"), capacity)
    }

    fn to(queue: &str, id: &str) -> Outgoing {
        Outgoing {
            exchange: "e".to_owned(),
            routing_key: queue.to_owned(),
            message_id: id.to_owned(),
            body: Bytes::from_static(b"{}"),
            traceparent: None,
            timestamp: 0,
        }
    }

    #[tokio::test]
    async fn a_full_queue_nacks_until_a_message_is_answered() {
        let memory = memory(2);
        let outcomes = memory.publish(vec![to("x", "1"), to("x", "2"), to("x", "3"), to("n", "4")]);
        let confirmed = Published::Confirmed;
        assert_eq!(outcomes, [confirmed.clone(), confirmed.clone(), Published::Nacked, confirmed.clone()]);
        let mut consumer = memory.consumer("x", 10).expect("a queue");
        let first = consumer.next().await.expect("a message");
        assert_eq!(memory.publish(vec![to("x", "5")]), [Published::Nacked], "an unanswered message takes room");
        first.acker.answer(Answer::Ack);
        assert_eq!(memory.publish(vec![to("x", "6")]), [confirmed]);
    }

    #[tokio::test]
    async fn a_full_dead_letter_queue_keeps_the_newest() {
        let memory = memory(2);
        let mut consumer = memory.consumer("x", 1).expect("a queue");
        for id in ["1", "2", "3"] {
            memory.publish(vec![to("x", id)]);
            consumer.next().await.expect("a message").acker.answer(Answer::DeadLetter);
        }
        let mut dead = memory.consumer("x.dlq", 10).expect("a queue");
        let (first, second) = (dead.next().await.expect("a message"), dead.next().await.expect("a message"));
        assert_eq!((first.message_id.as_deref(), second.message_id.as_deref()), (Some("2"), Some("3")));
    }

    #[tokio::test]
    async fn dead_letter_queues_are_not_bound_to_the_exchange() {
        let outcomes = memory(2).publish(vec![to("x.dlq", "1")]);
        assert!(matches!(outcomes.as_slice(), [Published::Returned { .. }]), "{outcomes:?}");
    }

    #[tokio::test]
    async fn a_requeued_message_comes_before_the_others() {
        let memory = memory(10);
        memory.publish(vec![to("x", "1"), to("x", "2")]);
        let mut consumer = memory.consumer("x", 1).expect("a queue");
        consumer.next().await.expect("a message").acker.answer(Answer::Requeue);
        let again = consumer.next().await.expect("a message");
        assert_eq!((again.message_id.as_deref(), again.redelivered), (Some("1"), true));
    }
}
