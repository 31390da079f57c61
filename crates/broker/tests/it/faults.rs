//! The network between the broker's two sides is cut or frozen.

use std::{collections::BTreeSet, time::Duration};

use broker::{Options, Published};

use tokio::time::timeout;

use crate::{
    proxy::Proxy,
    support::{Env, eventually, id, next, server, topology, within},
};

/// Short waits, so that a fault is noticed while a test waits for it.
fn impatient() -> Options {
    Options {
        confirm_timeout: Duration::from_secs(1),
        step_timeout: Duration::from_secs(2),
        heartbeat: 2,
        ..Options::default()
    }
}

async fn behind_proxy(options: Options) -> (Env, Proxy) {
    let proxy = Proxy::in_front_of(&server()).await;
    let env = Env::amqp_with(&proxy.uri(&server()), topology(), options);
    within("the broker to connect", env.broker.connected()).await;
    within("the publisher to be ready", env.broker.publisher().ready()).await;
    (env, proxy)
}

#[tokio::test]
async fn a_cut_connection_comes_back_with_its_consumers_and_unanswered_messages() {
    let (env, proxy) = behind_proxy(Options::default()).await;
    let publisher = env.broker.publisher();
    let mut consumer = env.consumer(2);
    env.publish(&["held", "buffered", "queued"]).await;
    let held = next(&mut consumer).await;

    proxy.cut();
    eventually("the loss to be noticed", || !publisher.is_ready() && !env.broker.is_connected()).await;
    assert_eq!(publisher.publish(vec![env.message("lost")]).await, [Published::NotSent]);
    // Too late: the broker takes the message back with the channel.
    held.ack().await;

    proxy.open();
    within("the publisher to be ready again", publisher.ready()).await;
    env.publish(&["new"]).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 4 {
        let delivery = next(&mut consumer).await;
        assert!(delivery.redelivered || ["queued", "new", "buffered"].contains(&id(&delivery).as_str()));
        seen.insert(id(&delivery));
        delivery.ack().await;
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["buffered", "held", "new", "queued"]);
    drop(proxy);
    env.remove().await;
}

#[tokio::test]
async fn publishes_in_flight_at_a_cut_are_answered_and_nothing_confirmed_is_lost() {
    let (env, proxy) = behind_proxy(Options::default()).await;
    let publisher = env.broker.publisher();
    let batch: Vec<_> = (0..2_000).map(|index| env.message(&format!("{index:04}"))).collect();
    let (outcomes, ()) = within("the outcomes", async {
        tokio::join!(publisher.publish(batch), async {
            tokio::task::yield_now().await;
            proxy.cut();
        })
    })
    .await;
    assert_eq!(outcomes.len(), 2_000);
    let known = [Published::Confirmed, Published::Unknown, Published::NotSent];
    assert!(outcomes.iter().all(|outcome| known.contains(outcome)), "{outcomes:?}");
    assert!(outcomes.contains(&Published::Unknown) || outcomes.contains(&Published::NotSent), "the cut came too late");

    proxy.open();
    within("the publisher to be ready again", publisher.ready()).await;
    env.publish(&["marker"]).await;
    let mut arrived = BTreeSet::new();
    let mut consumer = env.consumer(500);
    while !arrived.contains("marker") {
        let delivery = next(&mut consumer).await;
        arrived.insert(id(&delivery));
        delivery.ack().await;
    }
    for (index, outcome) in outcomes.iter().enumerate() {
        let there = arrived.contains(&format!("{index:04}"));
        match outcome {
            Published::Confirmed => assert!(there, "message {index} was confirmed and is gone"),
            Published::NotSent => assert!(!there, "message {index} was not sent and is there"),
            _ => {}
        }
    }
    env.remove().await;
}

#[tokio::test]
async fn a_frozen_broker_gives_unknown_within_the_confirm_timeout_and_is_left() {
    // Heartbeats would notice only after 20 s.
    let (env, proxy) = behind_proxy(Options { heartbeat: 10, ..impatient() }).await;
    let publisher = env.broker.publisher();
    let mut consumer = env.consumer(5);
    env.publish(&["held"]).await;
    let held = next(&mut consumer).await;

    proxy.freeze();
    let frozen = vec![env.message("a"), env.message("b")];
    let outcomes = timeout(Duration::from_secs(10), publisher.publish(frozen)).await;
    assert_eq!(outcomes, Ok(vec![Published::Unknown, Published::Unknown]), "promised within 2 s");
    eventually("the connection to be given up", || !publisher.is_ready()).await;
    assert_eq!(publisher.publish(vec![env.message("c")]).await, [Published::NotSent]);
    drop(held);

    proxy.open();
    within("the publisher to be ready again", publisher.ready()).await;
    env.publish(&["after"]).await;
    let mut seen = BTreeSet::new();
    while !(seen.contains("held") && seen.contains("after")) {
        let delivery = next(&mut consumer).await;
        seen.insert(id(&delivery));
        delivery.ack().await;
    }
    assert!(!seen.contains("c"), "{seen:?}");
    env.remove().await;
}

#[tokio::test]
async fn a_broker_that_is_down_at_the_start_is_found_later() {
    let proxy = Proxy::in_front_of(&server()).await;
    proxy.cut();
    let env = Env::amqp_with(&proxy.uri(&server()), topology(), Options::default());
    let publisher = env.broker.publisher();
    let mut consumer = env.consumer(1);
    assert!(!env.broker.is_connected() && !publisher.is_ready());
    assert_eq!(publisher.publish(vec![env.message("early")]).await, [Published::NotSent]);
    proxy.open();
    within("the publisher to be ready", publisher.ready()).await;
    env.publish(&["late"]).await;
    assert_eq!(id(&next(&mut consumer).await), "late");
    env.remove().await;
}

#[tokio::test]
async fn a_frozen_broker_does_not_keep_the_process_from_ending() {
    let (env, proxy) = behind_proxy(impatient()).await;
    let mut consumer = env.consumer(1);
    env.publish(&["held"]).await;
    let held = next(&mut consumer).await;
    proxy.freeze();
    within("the consumer to stop", consumer.stop()).await;
    assert!(consumer.next().await.is_none());
    held.ack().await;
    env.remove().await;
}
