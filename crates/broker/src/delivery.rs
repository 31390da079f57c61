//! A message delivered, whichever backend it came from.

use bytes::Bytes;

use crate::{
    amqp, memory,
    message::{Answer, Received},
};

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
    acker: Acker,
}

/// Where the answer goes.
#[derive(Debug)]
enum Acker {
    Amqp(amqp::Acker),
    Memory(memory::Acker),
}

impl From<Received<amqp::Acker>> for Delivery {
    fn from(Received { body, message_id, traceparent, redelivered, acker }: Received<amqp::Acker>) -> Self {
        Self { body, message_id, traceparent, redelivered, acker: Acker::Amqp(acker) }
    }
}

impl From<Received<memory::Acker>> for Delivery {
    fn from(Received { body, message_id, traceparent, redelivered, acker }: Received<memory::Acker>) -> Self {
        Self { body, message_id, traceparent, redelivered, acker: Acker::Memory(acker) }
    }
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
}
