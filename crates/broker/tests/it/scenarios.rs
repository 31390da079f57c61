//! What every backend must do.

use std::{pin::pin, task::Poll, time::Duration};

use broker::{Outgoing, Published};
use domain::{Lane, PerLane};

use crate::support::{Env, eventually, id, next, next_ids, within};

pub(crate) async fn messages_come_out_as_they_went_in(env: &Env) {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let traced = Outgoing { traceparent: Some(traceparent.clone()), ..env.message("traced") };
    let normal = Outgoing { routing_key: env.topology.queue(Lane::Normal).to_owned(), ..env.message("normal") };
    let outcomes = within("the confirms", env.broker.publisher().publish(vec![traced.clone(), normal])).await;
    assert_eq!(outcomes, [Published::Confirmed, Published::Confirmed]);

    let delivery = next(&mut env.consumer(1)).await;
    assert_eq!(delivery.body, traced.body);
    assert_eq!(delivery.message_id.as_deref(), Some("traced"));
    assert_eq!(delivery.traceparent, Some(traceparent));
    assert!(!delivery.redelivered);

    let other = next(&mut env.broker.consumer(env.topology.queue(Lane::Normal), 1)).await;
    assert_eq!((other.message_id.as_deref(), other.traceparent.as_deref()), (Some("normal"), None));
    drop((delivery, other));
}

pub(crate) async fn acknowledged_messages_do_not_come_again(env: &Env) {
    env.publish(&["a", "b"]).await;
    let mut first = env.consumer(10);
    assert_eq!(next_ids(&mut first, 2).await, ["a", "b"]);
    within("the consumer to stop", first.stop()).await;
    env.publish(&["c"]).await;
    assert_eq!(next_ids(&mut env.consumer(10), 1).await, ["c"]);
}

pub(crate) async fn what_no_queue_takes_is_returned_and_the_rest_confirmed(env: &Env) {
    let batch = vec![
        env.message("first"),
        Outgoing { routing_key: "nowhere".to_owned(), ..env.message("unroutable") },
        Outgoing { exchange: "another".to_owned(), ..env.message("wrong exchange") },
        Outgoing { routing_key: "k".repeat(256), ..env.message("long key") },
        Outgoing { message_id: "m".repeat(256), ..env.message("long id") },
        env.message("last"),
    ];
    let outcomes = within("the outcomes", env.broker.publisher().publish(batch)).await;
    let results: Vec<_> = outcomes.iter().map(Published::as_str).collect();
    assert_eq!(results, ["confirmed", "returned", "returned", "returned", "returned", "confirmed"]);
    assert_eq!(outcomes[1], Published::Returned { reason: "312 NO_ROUTE".to_owned() });
    assert_eq!(next_ids(&mut env.consumer(10), 2).await, ["first", "last"]);
    env.publish(&["after"]).await;
}

pub(crate) async fn dead_lettered_messages_move_to_the_dead_letter_queue(env: &Env) {
    env.publish(&["malformed", "good"]).await;
    let mut consumer = env.consumer(1);
    next(&mut consumer).await.dead_letter().await;
    let dead = next(&mut env.dead_letters()).await;
    assert_eq!(id(&dead), "malformed");
    assert_eq!(dead.body, env.message("malformed").body);
    dead.ack().await;
    assert_eq!(next_ids(&mut consumer, 1).await, ["good"]);
}

pub(crate) async fn requeued_messages_come_again(env: &Env) {
    env.publish(&["again"]).await;
    let mut consumer = env.consumer(1);
    let first = next(&mut consumer).await;
    assert!(!first.redelivered);
    first.requeue().await;
    let second = next(&mut consumer).await;
    assert_eq!((id(&second).as_str(), second.redelivered), ("again", true));
    second.ack().await;
}

pub(crate) async fn dropped_deliveries_come_again(env: &Env) {
    env.publish(&["dropped"]).await;
    let mut consumer = env.consumer(1);
    drop(next(&mut consumer).await);
    let again = next(&mut consumer).await;
    assert_eq!((id(&again).as_str(), again.redelivered), ("dropped", true));
    again.ack().await;
}

pub(crate) async fn the_prefetch_bounds_what_is_unanswered(env: &Env) {
    env.publish(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]).await;
    let mut narrow = env.consumer(3);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut narrow).await);
    }
    assert!(polled_once(narrow.next()).await.is_none());
    // Whatever the narrow consumer was not allowed to take, the wide one gets.
    let mut wide = env.consumer(100);
    let taken = next_ids(&mut wide, 7).await;
    assert!(held.iter().all(|delivery| !taken.contains(&id(delivery))), "{taken:?}");
    within("the consumer to stop", wide.stop()).await;
    env.publish(&["more"]).await;
    held.remove(0).ack().await;
    assert_eq!(next_ids(&mut narrow, 1).await, ["more"], "an answer frees a place");
    drop(held);
}

pub(crate) async fn a_stopped_consumer_keeps_what_it_gave_out_and_returns_the_rest(env: &Env) {
    env.publish(&["0", "1", "2", "3", "4"]).await;
    let mut stopped = env.consumer(5);
    let (acked_later, requeued_later) = (next(&mut stopped).await, next(&mut stopped).await);
    within("the consumer to stop", stopped.stop()).await;
    assert!(within("the end", stopped.next()).await.is_none());

    let mut other = env.consumer(10);
    assert_eq!(next_ids(&mut other, 3).await, ["2", "3", "4"], "what was not given out goes to others");
    acked_later.ack().await;
    requeued_later.requeue().await;
    assert_eq!(next_ids(&mut other, 1).await, ["1"]);
    env.publish(&["marker"]).await;
    assert_eq!(next_ids(&mut other, 1).await, ["marker"], "the acknowledged one is gone");
}

pub(crate) async fn a_dropped_consumer_returns_everything(env: &Env) {
    env.publish(&["0", "1", "2"]).await;
    let mut dropped = env.consumer(5);
    drop(next(&mut dropped).await);
    drop(dropped);
    assert_eq!(next_ids(&mut env.consumer(5), 3).await, ["0", "1", "2"]);
}

pub(crate) async fn giving_up_on_next_loses_nothing(env: &Env) {
    let mut consumer = env.consumer(1);
    for round in 0..20 {
        assert!(polled_once(consumer.next()).await.is_none(), "nothing was published");
        env.publish(&[&round.to_string()]).await;
        assert_eq!(next_ids(&mut consumer, 1).await, [round.to_string()]);
    }
}

/// Begins `work` and gives it up when it has to wait.
async fn polled_once<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

pub(crate) async fn a_message_that_is_always_requeued_is_dead_lettered(env: &Env) {
    env.publish(&["poison"]).await;
    let (mut consumer, mut dead_letters) = (env.consumer(1), env.dead_letters());
    let mut deliveries = 0;
    let dead = within("the message to be dead-lettered", async {
        loop {
            tokio::select! {
                delivery = consumer.next() => delivery.expect("the consumer to go on").requeue().await,
                dead = dead_letters.next() => return dead.expect("the consumer to go on"),
            }
            deliveries += 1;
        }
    })
    .await;
    assert_eq!((id(&dead).as_str(), deliveries), ("poison", 21), "delivered once and 20 times again");
    dead.ack().await;
    env.publish(&["next"]).await;
    assert_eq!(next_ids(&mut consumer, 1).await, ["next"]);
}

pub(crate) async fn the_depths_tell_what_waits(env: &Env) {
    let watch = env.broker.watch_depths(Duration::from_millis(20));
    let reaches =
        async |expected: PerLane<u64>| eventually(&format!("{expected:?}"), || watch.latest() == Some(expected)).await;
    reaches(PerLane { express: 0, normal: 0 }).await;
    env.publish(&["a", "b", "c"]).await;
    reaches(PerLane { express: 3, normal: 0 }).await;
    let mut consumer = env.consumer(1);
    let held = next(&mut consumer).await;
    reaches(PerLane { express: 2, normal: 0 }).await;
    held.ack().await;
}
