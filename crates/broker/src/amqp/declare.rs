//! The topology as RabbitMQ sees it: every exchange, queue, binding and flag, declared here and nowhere else.
//!
//! Accepted alike by 3.10 (where at-least-once dead-lettering begins) and 4.x. Declaring what exists with the same
//! arguments changes nothing; with other arguments the server closes the channel with 406.

use amqprs::{
    FieldTable, FieldValue,
    channel::{Channel, ExchangeDeclareArguments, ExchangeType, QueueBindArguments, QueueDeclareArguments},
};

use super::{
    call::{Caller, Failure},
    link::Link,
};
use crate::{
    Topology,
    topology::{DELIVERY_LIMIT, dead_letter_queue},
};

/// Server code for "exists with other arguments".
const PRECONDITION_FAILED: u16 = 406;

/// Dead letters wait for a person. RabbitMQ 4 would drop them after 20 returns (its default limit, and they have no
/// further queue to go to); "no limit" is -1 there, which 3.x reads as 0, so the limit is merely out of reach.
const OUT_OF_REACH: i32 = i32::MAX;

/// Declares `topology` on a channel of its own, which a refusal closes.
pub(super) async fn declare(link: &Link, topology: &Topology) -> Result<(), Failure> {
    let (channel, mut events) = link.open_channel(1).await?;
    let declared = declare_on(&channel, link.caller(), topology).await;
    match declared {
        Ok(()) => link.caller().call("closing the setup channel", channel.close()).await,
        Err(failure) => {
            let failure = link.refusal_behind(failure, &mut events);
            explain(&failure);
            Err(failure)
        }
    }
}

/// The one failure that an operator has to repair by hand.
fn explain(failure: &Failure) {
    if let Failure::Refused { code: PRECONDITION_FAILED, text, .. } = failure {
        tracing::error!(
            outage = "broker",
            problem = text,
            "an exchange or queue of this name exists with other settings; drain and delete it, or choose another name"
        );
    }
}

async fn declare_on(channel: &Channel, caller: &Caller, topology: &Topology) -> Result<(), Failure> {
    // Direct: a message goes to the one queue it names. Durable: it must outlive a restart of the broker.
    let mut exchange = ExchangeDeclareArguments::of_type(topology.exchange(), ExchangeType::Direct);
    let exchange = exchange.durable(true).finish();
    let on = channel.clone();
    caller.call("declaring the exchange", async move { on.exchange_declare(exchange).await }).await?;
    for queue in topology.queues() {
        // First, so that no message is ever dead-lettered into nothing.
        let dead_letters = dead_letter_queue(queue);
        declare_queue(channel, caller, &dead_letters, dead_letter_arguments()).await?;
        work_queue(channel, caller, queue).await?;
        let binding = QueueBindArguments::new(queue, topology.exchange(), queue);
        let on = channel.clone();
        caller.call("binding a queue", async move { on.queue_bind(binding).await }).await?;
    }
    Ok(())
}

/// Declares a work queue; what exists already stays as it is. Gives the number of messages that wait in it, those
/// given out and not answered left out.
///
/// Asking in this way, and not by a passive declaration, makes a queue that is gone instead of losing the channel.
pub(super) async fn work_queue(channel: &Channel, caller: &Caller, queue: &str) -> Result<u64, Failure> {
    declare_queue(channel, caller, queue, work_arguments(&dead_letter_queue(queue))).await
}

async fn declare_queue(channel: &Channel, caller: &Caller, name: &str, arguments: FieldTable) -> Result<u64, Failure> {
    // Durable, never exclusive or auto-deleted: the queue holds paid-for messages whoever is connected.
    let declaration = QueueDeclareArguments::durable_client_named(name).arguments(arguments).finish();
    let on = channel.clone();
    let declared = caller.call("declaring a queue", async move { on.queue_declare(declaration).await }).await?;
    Ok(declared.map_or(0, |(_, messages, _)| u64::from(messages)))
}

fn work_arguments(dead_letters: &str) -> FieldTable {
    table([
        // Replicated, and the only type with a delivery limit.
        ("x-queue-type", "quorum".into()),
        // A message that kills its consumer must not come back for ever.
        ("x-delivery-limit", FieldValue::l(DELIVERY_LIMIT.into())),
        // Rejected messages go straight to their queue: the default exchange routes by queue name, no binding to lose.
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", dead_letters.into()),
        // A dead letter leaves this queue only when the other one has it; the default may lose it on the way.
        ("x-dead-letter-strategy", "at-least-once".into()),
        // Required by at-least-once; a full queue nacks the publisher instead of dropping its oldest message.
        ("x-overflow", "reject-publish".into()),
    ])
}

fn dead_letter_arguments() -> FieldTable {
    table([
        // As safe as the queue the messages came from.
        ("x-queue-type", "quorum".into()),
        ("x-delivery-limit", FieldValue::l(OUT_OF_REACH.into())),
    ])
}

fn table<const N: usize>(entries: [(&str, FieldValue); N]) -> FieldTable {
    let mut table = FieldTable::new();
    for (name, value) in entries {
        table.insert(name.try_into().expect("argument names are short"), value);
    }
    table
}
