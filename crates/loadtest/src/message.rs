//! Requests of a load as the gateway accepts them.

use anyhow::Context as _;
use domain::{
    CustomerId, Message, MessageBody, MessageId, MessageType, Money, OutboxPayload, Recipients, TransactionId,
    pricing::PriceList,
};
use uuid::Uuid;

use crate::{Traffic, traffic::TEXT};

/// Exchange and queues that messages go to; by default those of the default settings.
#[derive(Debug, Clone)]
pub struct Destinations {
    /// Where everything is published.
    pub exchange: String,
    /// The queue of express messages, which is their routing key.
    pub express_queue: String,
    /// The same of normal messages.
    pub normal_queue: String,
}

impl Default for Destinations {
    fn default() -> Self {
        let [exchange, express_queue, normal_queue] =
            ["message_exchange", "message_express", "message_normal"].map(str::to_owned);
        Self { exchange, express_queue, normal_queue }
    }
}

/// Request `index` of `traffic` as an accepted message.
pub(crate) fn message(traffic: &Traffic, index: u64, to: &Destinations) -> anyhow::Result<OutboxPayload> {
    let kind = traffic.kind(index);
    let message = Message::plain(
        CustomerId::try_from(traffic.user(index)).context("a customer's id")?,
        TEXT.to_owned().try_into().context("a text")?,
        Recipients::parse(traffic.recipients(index).collect()).context("recipients")?,
        kind,
    );
    let queue = match kind {
        MessageType::Express => &to.express_queue,
        MessageType::Normal => &to.normal_queue,
    };
    let transaction_id = TransactionId::from_uuid(Uuid::now_v7());
    Ok(OutboxPayload {
        exchange: to.exchange.clone(),
        routing_key: queue.clone(),
        message: MessageBody::new(message, transaction_id.clone(), MessageId::from_uuid(Uuid::now_v7())),
        transaction_id,
    })
}

/// The default price of one recipient.
pub(crate) fn unit_price(kind: MessageType) -> Money {
    PriceList::default().of(kind)
}

#[cfg(test)]
mod tests {
    use domain::CarriedMessage;
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::Load;

    #[test]
    fn a_message_is_an_event_the_relay_can_read() {
        let traffic = Traffic::of(&Load { recipients: 3, express_ratio: 1.0, ..Load::default() });
        let stored = message(&traffic, 4, &Destinations::default()).expect("a message");
        let read = CarriedMessage::from_json(&to_raw_value(&stored).expect("JSON")).expect("readable");
        let body = MessageBody::from_json(read.body.get().as_bytes()).expect("a message");
        assert_eq!(body, stored.message);
        assert_eq!(body.recipients.count(), 3);
        assert_eq!(read.routing_key, "message_express");
    }
}
