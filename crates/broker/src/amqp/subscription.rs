//! One consumer on one channel, and the answers to what came through it.

use std::sync::Arc;

use amqprs::{
    BasicProperties, FieldValue,
    channel::{
        BasicAckArguments, BasicCancelArguments, BasicConsumeArguments, BasicNackArguments, BasicQosArguments,
        BasicRejectArguments, Channel, ConsumerMessage,
    },
};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{acker::Acker, call::Failure, callback::ChannelEvent, link::Link};
use crate::message::{Answer, Received};

/// Why a subscription ended.
pub(super) enum Served {
    Stopped,
    Lost(String),
}

pub(super) struct Subscription {
    link: Arc<Link>,
    channel: Channel,
    consumer_tag: String,
    events: mpsc::Receiver<ChannelEvent>,
    /// Unbounded inside amqprs; the prefetch is what bounds it.
    messages: mpsc::UnboundedReceiver<ConsumerMessage>,
    /// Given to each delivery.
    answer_here: mpsc::Sender<(u64, Answer)>,
    answers: mpsc::Receiver<(u64, Answer)>,
}

impl Subscription {
    pub(super) async fn open(link: &Arc<Link>, queue: &str, prefetch: u16) -> Result<Self, Failure> {
        // A channel that consumes has one event: its end.
        let (channel, mut events) = link.open_channel(1).await?;
        let consumed = consume(link, &channel, queue, prefetch).await;
        let (consumer_tag, messages) = consumed.map_err(|failure| link.refusal_behind(failure, &mut events))?;
        let (answer_here, answers) = mpsc::channel(prefetch.into());
        Ok(Self { link: Arc::clone(link), channel, consumer_tag, events, messages, answer_here, answers })
    }

    /// Moves deliveries out and answers in, until the channel is lost or the consumer stops or is dropped.
    pub(super) async fn serve(&mut self, out: &mpsc::Sender<Received<Acker>>, stop: &CancellationToken) -> Served {
        let mut next: Option<Received<Acker>> = None;
        loop {
            tokio::select! {
                biased;
                Some((tag, answer)) = self.answers.recv() => self.pass(tag, answer).await,
                () = stop.cancelled() => {
                    give_back(next);
                    return Served::Stopped;
                }
                event = self.events.recv() => return Served::Lost(ending(event)),
                () = self.link.health().failed() => return Served::Lost(self.link.health().reason().to_owned()),
                room = out.reserve(), if next.is_some() => match (room, next.take()) {
                    (Ok(room), Some(delivery)) => room.send(delivery),
                    (_, unwanted) => {
                        give_back(unwanted);
                        return Served::Stopped;
                    }
                },
                message = self.messages.recv(), if next.is_none() => {
                    next = message.and_then(|message| self.delivery(message));
                    if next.is_none() {
                        return Served::Lost("the consuming channel ended".to_owned());
                    }
                }
            }
        }
    }

    /// Asks the broker to send no more. What arrives until it agrees is requeued by [`finish`](Self::finish).
    pub(super) async fn cancel(&self) {
        let (channel, arguments) = (self.channel.clone(), BasicCancelArguments::new(&self.consumer_tag));
        let cancelling = async move { channel.basic_cancel(arguments).await };
        if let Err(failure) = self.link.caller().call("cancelling a consumer", cancelling).await {
            tracing::debug!(%failure, "the consumer was not cancelled in order");
        }
    }

    /// Passes answers on until every delivery has one, or there is no use in waiting for more.
    pub(super) async fn finish(mut self, shutdown: &CancellationToken) {
        while let Ok(message) = self.messages.try_recv() {
            give_back(self.delivery(message));
        }
        // From here on only unanswered deliveries keep the queue of answers open.
        drop(self.answer_here);
        let (channel, link) = (self.channel, self.link);
        loop {
            tokio::select! {
                biased;
                answer = self.answers.recv() => match answer {
                    Some((tag, answer)) => pass(&channel, tag, answer).await,
                    None => break,
                },
                event = self.events.recv() => {
                    link.health().fail(ending(event));
                    return;
                }
                () = link.health().failed() => return,
                () = shutdown.cancelled() => break,
            }
        }
        if let Err(failure) = link.caller().call("closing a consuming channel", channel.close()).await {
            tracing::debug!(%failure, "the consuming channel was not closed in order");
        }
    }

    async fn pass(&self, tag: u64, answer: Answer) {
        pass(&self.channel, tag, answer).await;
    }

    fn delivery(&self, message: ConsumerMessage) -> Option<Received<Acker>> {
        let (deliver, properties) = (message.deliver?, message.basic_properties?);
        Some(Received {
            body: Bytes::from(message.content?),
            message_id: properties.message_id().cloned(),
            traceparent: traceparent(&properties),
            redelivered: deliver.redelivered(),
            acker: Acker::new(deliver.delivery_tag(), self.answer_here.clone()),
        })
    }
}

fn give_back(unwanted: Option<Received<Acker>>) {
    if let Some(received) = unwanted {
        received.acker.give_back();
    }
}

async fn consume(
    link: &Link,
    channel: &Channel,
    queue: &str,
    prefetch: u16,
) -> Result<(String, mpsc::UnboundedReceiver<ConsumerMessage>), Failure> {
    // Per consumer, not per channel: quorum queues know no other kind.
    let (on, limit) = (channel.clone(), BasicQosArguments::new(0, prefetch, false));
    link.caller().call("setting the prefetch", async move { on.basic_qos(limit).await }).await?;
    // Without a name of ours the broker makes one; answers are never automatic.
    let (on, what) = (channel.clone(), BasicConsumeArguments::new(queue, "").manual_ack(true).finish());
    link.caller().call("starting to consume", async move { on.basic_consume_rx(what).await }).await
}

async fn pass(channel: &Channel, tag: u64, answer: Answer) {
    let passed = match answer {
        Answer::Ack => channel.basic_ack(BasicAckArguments::new(tag, false)).await,
        // Since RabbitMQ 4.3 a reject counts towards the delivery limit and a nack does not; before, both do.
        Answer::DeadLetter => channel.basic_reject(BasicRejectArguments::new(tag, false)).await,
        Answer::Requeue => channel.basic_reject(BasicRejectArguments::new(tag, true)).await,
        Answer::Return => channel.basic_nack(BasicNackArguments::new(tag, false, true)).await,
    };
    if let Err(error) = passed {
        tracing::debug!(?answer, %error, "an answer was not sent; the broker delivers the message again");
    }
}

fn ending(event: Option<ChannelEvent>) -> String {
    match event {
        Some(ChannelEvent::Closed { code, text }) => format!("the broker closed a consuming channel: {code} {text}"),
        // The protocol's cancel has no room for a reason. Before 4.3 a timeout closes the channel instead, with a text.
        Some(ChannelEvent::ConsumerCancelled) => "the broker cancelled a consumer and does not say why: its queue was \
            deleted, or a message was unanswered for longer than the broker's consumer timeout"
            .to_owned(),
        _ => "a consuming channel ended".to_owned(),
    }
}

fn traceparent(properties: &BasicProperties) -> Option<String> {
    match properties.headers()?.get(&instruments::propagation::TRACEPARENT.try_into().expect("a short name"))? {
        FieldValue::S(value) => Some(value.as_ref().clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_was_cancelled_is_not_blamed_on_its_queue_alone() {
        let reason = ending(Some(ChannelEvent::ConsumerCancelled));
        assert!(reason.contains("queue was deleted") && reason.contains("consumer timeout"), "{reason}");
    }

    #[test]
    fn what_the_broker_says_of_a_closed_channel_is_passed_on() {
        let text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out".to_owned();
        let reason = ending(Some(ChannelEvent::Closed { code: 406, text }));
        assert!(
            reason.ends_with("406 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out"),
            "{reason}"
        );
    }
}
