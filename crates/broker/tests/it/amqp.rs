//! What only RabbitMQ can do: many messages at once, and an operator who changes its queues.

use amqprs::{
    FieldValue,
    channel::{BasicGetArguments, QueueDeclareArguments, QueueDeleteArguments},
};
use broker::{Options, Outgoing, Published};
use domain::Lane;

use crate::{
    proxy::Proxy,
    support::{Env, admin, next, next_ids, server, topology, within},
};

#[tokio::test]
async fn batches_of_many_tasks_are_all_confirmed_and_all_arrive() {
    let env = Env::amqp().await;
    let batch_of = |lane: usize| (0..500).map(|index| env.message(&format!("{lane}-{index:03}"))).collect::<Vec<_>>();
    let publisher = env.broker.publisher();
    let lane = |lane| publisher.publish(batch_of(lane));
    let (one, two, three, four) =
        within("the confirms", async { tokio::join!(lane(1), lane(2), lane(3), lane(4)) }).await;
    for outcomes in [one, two, three, four] {
        assert_eq!(outcomes, vec![Published::Confirmed; 500]);
    }
    let mut sent: Vec<String> =
        (1..=4).flat_map(|lane| (0..500).map(move |index| format!("{lane}-{index:03}"))).collect();
    sent.sort();
    assert_eq!(next_ids(&mut env.consumer(200), 2_000).await, sent);
    env.remove().await;
}

#[tokio::test]
async fn messages_have_the_properties_of_the_wire_contract() {
    let env = Env::amqp().await;
    let traced = Outgoing { traceparent: Some("00-trace-parent-01".to_owned()), ..env.message("id") };
    assert_eq!(env.broker.publisher().publish(vec![traced]).await, [Published::Confirmed]);
    let (connection, channel) = admin(&server()).await;
    let got = channel.basic_get(BasicGetArguments::new(&env.express()).no_ack(true).finish()).await;
    let (_, properties, body) = got.expect("an answer").expect("a message");
    assert_eq!(properties.delivery_mode(), Some(2), "persistent");
    assert_eq!(properties.content_type().map(String::as_str), Some("application/json"));
    assert_eq!(properties.message_id().map(String::as_str), Some("id"));
    assert_eq!(properties.timestamp(), Some(1_700_000_000));
    let headers = properties.headers().expect("headers");
    let traceparent = headers.get(&"traceparent".try_into().expect("a short name"));
    assert_eq!(traceparent, Some(&FieldValue::from("00-trace-parent-01".to_owned())));
    assert_eq!(body, b"{\"id\":\"id\"}");
    channel.close().await.expect("the channel to be closed");
    connection.close().await.expect("the connection to be closed");
    env.remove().await;
}

#[tokio::test]
async fn a_batch_larger_than_the_window_is_sent_in_slices_and_answered_in_order() {
    let env = Env::amqp_with(&server(), topology(), Options { confirm_window: 7, ..Options::default() });
    within("the publisher to be ready", env.broker.publisher().ready()).await;
    let batch = (0..100).map(|index| match index % 10 {
        3 => Outgoing { routing_key: "nowhere".to_owned(), ..env.message(&index.to_string()) },
        _ => env.message(&index.to_string()),
    });
    let outcomes = within("the confirms", env.broker.publisher().publish(batch.collect())).await;
    assert_eq!(outcomes.len(), 100);
    for (index, outcome) in outcomes.iter().enumerate() {
        let wanted = if index % 10 == 3 { "returned" } else { "confirmed" };
        assert_eq!(outcome.as_str(), wanted, "message {index}");
    }
    env.remove().await;
}

#[tokio::test]
async fn copies_with_one_id_are_told_apart_from_returned_ones() {
    let env = Env::amqp().await;
    let nowhere = || Outgoing { routing_key: "nowhere".to_owned(), ..env.message("same") };
    let publisher = env.broker.publisher();
    let outcomes = within("the outcomes", publisher.publish(vec![nowhere(), nowhere(), env.message("same")])).await;
    let results: Vec<_> = outcomes.iter().map(Published::as_str).collect();
    assert_eq!(results, ["returned", "returned", "confirmed"]);
    env.remove().await;
}

#[tokio::test]
async fn deleted_queues_are_declared_again_for_publisher_and_consumer() {
    let env = Env::amqp().await;
    let mut consumer = env.consumer(5);
    env.publish(&["before"]).await;
    next(&mut consumer).await.ack().await;

    let (connection, channel) = admin(&server()).await;
    channel.queue_delete(QueueDeleteArguments::new(&env.express())).await.expect("the queue to be deleted");
    connection.close().await.expect("the connection to be closed");

    let publisher = env.broker.publisher();
    let healed = async {
        loop {
            publisher.ready().await;
            if publisher.publish(vec![env.message("after")]).await == [Published::Confirmed] {
                return;
            }
        }
    };
    within("a publish to be confirmed again", healed).await;
    assert_eq!(next_ids(&mut consumer, 1).await, ["after"]);
    env.remove().await;
}

#[tokio::test]
async fn a_queue_of_another_kind_keeps_the_broker_unconnected_until_it_is_gone() {
    let topology = topology();
    let (connection, channel) = admin(&server()).await;
    let classic = QueueDeclareArguments::durable_client_named(topology.queue(Lane::Normal)).finish();
    channel.queue_declare(classic).await.expect("a classic queue");

    let proxy = Proxy::in_front_of(&server()).await;
    let env = Env::amqp_with(&proxy.uri(&server()), topology, Options::default());
    // Each of the two tries asks first, and then connects; a fifth is made only after one of them has failed.
    proxy.accepted(6).await;
    assert!(!env.broker.is_connected());
    assert_eq!(env.broker.publisher().publish(vec![env.message("early")]).await, [Published::NotSent]);

    channel.queue_delete(QueueDeleteArguments::new(env.topology.queue(Lane::Normal))).await.expect("it to be deleted");
    connection.close().await.expect("the connection to be closed");
    within("the broker to connect", env.broker.connected()).await;
    within("the publisher to be ready", env.broker.publisher().ready()).await;
    env.publish(&["late"]).await;
    env.remove().await;
}

#[tokio::test]
async fn wrong_credentials_leave_the_broker_unconnected_and_stoppable() {
    let mut uri = server();
    uri.set_username("nobody").expect("amqp uris have users");
    uri.set_password(Some("wrong")).expect("amqp uris have passwords");
    let proxy = Proxy::in_front_of(&server()).await;
    let env = Env::amqp_with(&proxy.uri(&uri), topology(), Options::default());
    proxy.accepted(4).await;
    assert!(!env.broker.is_connected() && !env.broker.publisher().is_ready());
    assert_eq!(env.broker.publisher().publish(vec![env.message("a")]).await, [Published::NotSent]);
    env.remove().await;
}
