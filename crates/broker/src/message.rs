//! What goes in and what comes out: a message to publish, what became of it, a message received.

use bytes::Bytes;

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

/// A message from a queue, as a backend gives it out; dropping the acker without an answer requeues it.
#[derive(Debug)]
pub(crate) struct Received<A> {
    pub(crate) body: Bytes,
    pub(crate) message_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) redelivered: bool,
    pub(crate) acker: A,
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
