//! A queue of the broker, emptied by the test.

use broker::{Broker, Consumer, Delivery};

use super::within;

/// Holds as many unanswered messages as come.
#[derive(Debug)]
pub(crate) struct Queue {
    consumer: Consumer,
}

impl Queue {
    pub(crate) fn of(broker: &Broker, name: &str) -> Self {
        Self { consumer: broker.consumer(name, u16::MAX) }
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Delivery {
        within("a message in the queue", self.consumer.next()).await.expect("the consumer goes on")
    }

    /// Takes the next message off the queue and gives its identifier.
    pub(crate) async fn take(&mut self) -> String {
        let delivery = self.next().await;
        let id = delivery.message_id.clone().expect("messages have identifiers");
        delivery.ack().await;
        id
    }
}
