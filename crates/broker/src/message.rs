//! What goes in and what comes out: a message to publish, what became of it, a message delivered.

use bytes::Bytes;

use crate::{amqp, memory};

/// AMQP short strings (names, routing keys, message ids) have at most this many bytes.
const LONGEST_SHORT_STRING: usize = 255;

/// A message to publish. It is sent persistent and `mandatory`, as `application/json`.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Must be the topology's exchange.
    pub exchange: String,
    /// The name of the queue to reach; at most 255 bytes.
    pub routing_key: String,
    /// Identifies the message for the consumer; at most 255 bytes. Republishing keeps it.
    pub message_id: String,
    /// The JSON body.
    pub body: Bytes,
    /// W3C trace context, sent as the header `traceparent`.
    pub traceparent: Option<String>,
    /// When the message was made, in seconds since 1970.
    pub timestamp: u64,
}

impl Outgoing {
    /// Why this message must not be sent at all. A wrong exchange would make the server close the channel and take
    /// every message in flight with it; an overlong string would panic inside amqprs.
    pub(crate) fn refusal(&self, exchange: &str) -> Option<String> {
        if self.exchange != exchange {
            return Some(format!("the exchange {:?} is not {exchange:?}", self.exchange));
        }
        let too_long = [("routing key", &self.routing_key), ("message id", &self.message_id)]
            .into_iter()
            .find(|(_, value)| value.len() > LONGEST_SHORT_STRING);
        too_long.map(|(name, value)| format!("the {name} has {} bytes, more than 255", value.len()))
    }
}

/// What became of one published message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// The broker has it, on disk: it will be delivered.
    Confirmed,
    /// The broker refused it (queue full or failing): not in the queue.
    Nacked,
    /// No queue takes it: not in the queue, and the same message will not fare better without a change.
    Returned {
        /// What the broker, or the check before sending, said.
        reason: String,
    },
    /// The connection was lost or no confirm came in time: it may or may not be in the queue.
    Unknown,
    /// There was no connection: certainly not in the queue.
    NotSent,
}

impl Published {
    /// Every [`as_str`](Self::as_str).
    pub const RESULTS: [&'static str; 5] = ["confirmed", "nacked", "returned", "unknown", "not_sent"];

    /// The name used in metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Nacked => "nacked",
            Self::Returned { .. } => "returned",
            Self::Unknown => "unknown",
            Self::NotSent => "not_sent",
        }
    }
}

/// A message from a queue. Answer it with [`ack`](Self::ack), [`dead_letter`](Self::dead_letter) or
/// [`requeue`](Self::requeue); one dropped without an answer (a handler that panicked) is requeued.
///
/// An answer after the connection was lost goes nowhere: the broker has already taken the message back and delivers it
/// again, so whoever handles messages must cope with seeing one twice.
#[derive(Debug)]
pub struct Delivery {
    /// The body as published.
    pub body: Bytes,
    /// The publisher's id of the message.
    pub message_id: Option<String>,
    /// W3C trace context of the publisher.
    pub traceparent: Option<String>,
    /// Whether the broker has delivered this message before; a hint, since a republished message is a new one to it.
    pub redelivered: bool,
    pub(crate) acker: Acker,
}

/// Where the answer goes. Dropping one without an answer requeues the message.
#[derive(Debug)]
pub(crate) enum Acker {
    Amqp(amqp::Acker),
    Memory(memory::Acker),
}

/// What is to happen with a delivered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Ack,
    DeadLetter,
    /// Its handling failed; it comes again and counts towards the delivery limit.
    Requeue,
    /// Nobody has looked at it; it goes back as it came.
    Return,
}

impl Delivery {
    /// The message is dealt with; it leaves the queue.
    pub async fn ack(self) {
        self.answer(Answer::Ack).await;
    }

    /// The message can never be dealt with; it moves to the dead-letter queue.
    pub async fn dead_letter(self) {
        self.answer(Answer::DeadLetter).await;
    }

    /// The message is to come again, soon; after 20 times it moves to the dead-letter queue.
    pub async fn requeue(self) {
        self.answer(Answer::Requeue).await;
    }

    async fn answer(self, answer: Answer) {
        match self.acker {
            Acker::Amqp(acker) => acker.answer(answer).await,
            Acker::Memory(acker) => acker.answer(answer),
        }
    }

    /// Puts back what was never given out.
    pub(crate) fn give_back(self) {
        match self.acker {
            Acker::Amqp(acker) => acker.give_back(),
            Acker::Memory(acker) => acker.answer(Answer::Return),
        }
    }

    /// Whether its channel is gone, so that the broker delivers it again and handling it would be wasted.
    pub(crate) fn is_stale(&self) -> bool {
        match &self.acker {
            Acker::Amqp(acker) => acker.is_stale(),
            Acker::Memory(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(exchange: &str, routing_key: &str, message_id: &str) -> Outgoing {
        Outgoing {
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            message_id: message_id.to_owned(),
            body: Bytes::new(),
            traceparent: None,
            timestamp: 0,
        }
    }

    #[test]
    fn what_would_break_the_channel_is_refused() {
        let longest = "k".repeat(255);
        assert_eq!(outgoing("e", &longest, &longest).refusal("e"), None);
        let too_long = "k".repeat(256);
        for refused in [outgoing("f", "k", "m"), outgoing("e", &too_long, "m"), outgoing("e", "k", &too_long)] {
            assert!(refused.refusal("e").is_some(), "{refused:?}");
        }
    }
}
