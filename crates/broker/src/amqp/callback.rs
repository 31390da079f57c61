//! What the server says by itself, handed over to the task that owns the channel or the connection.
//!
//! amqprs runs callbacks inside its reader and dispatcher: they only pass on, and never call back.

use std::sync::{Arc, OnceLock};

use amqprs::{
    Ack, BasicProperties, Cancel, Close, CloseChannel, Nack, Return,
    callbacks::{ChannelCallback, ConnectionCallback},
    channel::Channel,
    connection::Connection,
    error::Error as AmqpError,
};
use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Something the server said on a channel.
#[derive(Debug)]
pub(super) enum ChannelEvent {
    Closed { code: u16, text: String },
    ConsumerCancelled,
    Acked { tag: u64, multiple: bool },
    Nacked { tag: u64, multiple: bool },
    Returned { message_id: Option<String>, routing_key: String, reason: String },
}

/// Passes a channel's events on; waits while their reader is behind, which holds back only this channel.
pub(super) struct ChannelEvents(pub(super) mpsc::Sender<ChannelEvent>);

impl ChannelEvents {
    async fn pass(&self, event: ChannelEvent) {
        // Nobody listens any more when the channel is being left.
        let _unheard = self.0.send(event).await;
    }
}

#[async_trait]
impl ChannelCallback for ChannelEvents {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), AmqpError> {
        self.pass(ChannelEvent::Closed { code: close.reply_code(), text: close.reply_text().clone() }).await;
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), AmqpError> {
        self.pass(ChannelEvent::ConsumerCancelled).await;
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, AmqpError> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.pass(ChannelEvent::Acked { tag: ack.delivery_tag(), multiple: ack.mutiple() }).await;
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.pass(ChannelEvent::Nacked { tag: nack.delivery_tag(), multiple: nack.multiple() }).await;
    }

    async fn publish_return(&mut self, _: &Channel, ret: Return, properties: BasicProperties, _body: Vec<u8>) {
        self.pass(ChannelEvent::Returned {
            message_id: properties.message_id().cloned(),
            routing_key: ret.routing_key().clone(),
            reason: format!("{} {}", ret.reply_code(), ret.reply_text()),
        })
        .await;
    }
}

/// What is known about a connection: whether it is to be given up and why, whether the broker blocks publishing.
#[derive(Debug, Clone)]
pub(super) struct Health {
    failed: CancellationToken,
    reason: Arc<OnceLock<String>>,
    blocked: watch::Sender<bool>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self { failed: CancellationToken::new(), reason: Arc::default(), blocked: watch::Sender::new(false) }
    }

    /// The connection must be rebuilt; the first reason is the one that counts.
    pub(super) fn fail(&self, reason: impl Into<String>) {
        let _first_reason_stays = self.reason.set(reason.into());
        self.failed.cancel();
    }

    pub(super) fn is_failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    pub(super) async fn failed(&self) {
        self.failed.cancelled().await;
    }

    pub(super) fn reason(&self) -> &str {
        self.reason.get().map_or("unknown", String::as_str)
    }

    pub(super) fn blocked(&self) -> watch::Receiver<bool> {
        self.blocked.subscribe()
    }
}

/// Listens to a connection. amqprs 2.1.5 does not tell RabbitMQ that it understands `connection.blocked`, so that one
/// comes only from brokers that send it unasked; an alarm shows itself as messages that are not confirmed.
pub(super) struct ConnectionEvents(pub(super) Health);

#[async_trait]
impl ConnectionCallback for ConnectionEvents {
    async fn close(&mut self, _: &Connection, close: Close) -> Result<(), AmqpError> {
        self.0.fail(format!("the broker closed it: {} {}", close.reply_code(), close.reply_text()));
        Ok(())
    }

    async fn blocked(&mut self, _: &Connection, reason: String) {
        tracing::warn!(outage = "broker", reason, "the broker has blocked publishing");
        self.0.blocked.send_replace(true);
    }

    async fn unblocked(&mut self, _: &Connection) {
        tracing::info!("the broker takes messages again");
        self.0.blocked.send_replace(false);
    }

    async fn secret_updated(&mut self, _: &Connection) {}
}
