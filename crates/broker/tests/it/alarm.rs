//! A broker that is short of memory: it goes on delivering and takes nothing from publishers.

use broker::{Condition, Options, Published};
use test_support::provision::{Backend, RabbitServer};
use url::Url;

use crate::support::{Env, eventually, id, next, topology, within};

async fn private_server() -> (RabbitServer, Url) {
    let backend = Backend::choose_private().expect("a way to start servers");
    let server = RabbitServer::start(backend).await.expect("a private RabbitMQ");
    let uri = Url::parse(server.url()).expect("a URI");
    (server, uri)
}

async fn raise(server: &RabbitServer, raised: bool) {
    server.set_memory_alarm(raised).await.expect("rabbitmqctl works");
}

async fn is(env: &Env, condition: Condition) {
    eventually(&format!("{condition:?}"), || env.broker.condition() == condition).await;
}

#[tokio::test]
async fn an_alarm_is_noticed_by_a_publisher_with_nothing_to_publish_and_its_end_too() {
    let (server, uri) = private_server().await;
    let env = Env::amqp_on(&uri, uri.clone(), topology(), Options::default());
    let publisher = env.broker.publisher();
    within("the publisher to be ready", publisher.ready()).await;
    env.publish(&["before"]).await;
    is(&env, Condition::Connected).await;

    raise(&server, true).await;
    is(&env, Condition::Blocked).await;
    assert!(!publisher.is_ready() && env.broker.is_connected());
    assert_eq!(publisher.publish(vec![env.message("kept out")]).await, [Published::NotSent]);
    let mut consumer = env.consumer(1);
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), "before", "what is in the queue is delivered");
    delivery.ack().await;

    raise(&server, false).await;
    is(&env, Condition::Connected).await;
    within("the publisher to be ready again", publisher.ready()).await;
    env.publish(&["after"]).await;
    assert_eq!(id(&next(&mut consumer).await), "after");
    drop(consumer);
    env.remove().await;
}

#[tokio::test]
async fn who_starts_during_an_alarm_consumes_at_once_and_publishes_after_it() {
    let (server, uri) = private_server().await;
    let names = topology();
    let env = Env::amqp_on(&uri, uri.clone(), names.clone(), Options::default());
    within("the publisher to be ready", env.broker.publisher().ready()).await;
    env.publish(&["waiting"]).await;
    raise(&server, true).await;

    let late = Env::amqp_on(&uri, uri.clone(), names, Options::default());
    let mut consumer = late.consumer(1);
    assert_eq!(id(&next(&mut consumer).await), "waiting");
    assert!(!late.broker.publisher().is_ready());
    is(&late, Condition::Blocked).await;

    raise(&server, false).await;
    within("the late publisher to be ready", late.broker.publisher().ready()).await;
    is(&late, Condition::Connected).await;
    drop(consumer);
    late.stop().await;
    env.remove().await;
}

#[tokio::test]
async fn an_alarm_does_not_keep_the_process_from_ending() {
    let (server, uri) = private_server().await;
    let env = Env::amqp_on(&uri, uri.clone(), topology(), Options::default());
    within("the publisher to be ready", env.broker.publisher().ready()).await;
    raise(&server, true).await;
    is(&env, Condition::Blocked).await;
    env.stop().await;
}

#[tokio::test]
async fn what_is_in_flight_at_an_alarm_is_answered_and_the_publisher_stays_blocked() {
    let (server, uri) = private_server().await;
    let env = Env::amqp_on(&uri, uri.clone(), topology(), Options::default());
    let publisher = env.broker.publisher();
    within("the publisher to be ready", publisher.ready()).await;
    raise(&server, true).await;
    // The first gets through and makes the broker block the connection.
    let mut outcomes = Vec::new();
    while outcomes.last() != Some(&Published::Unknown) {
        let batch = vec![env.message("first"), env.message("second")];
        outcomes.extend(within("an answer", publisher.publish(batch)).await);
    }
    assert!(
        outcomes.iter().all(|outcome| [Published::Confirmed, Published::Unknown].contains(outcome)),
        "{outcomes:?}"
    );
    is(&env, Condition::Blocked).await;
    assert_eq!(publisher.publish(vec![env.message("third")]).await, [Published::NotSent]);
    raise(&server, false).await;
    is(&env, Condition::Connected).await;
    within("the publisher to be ready again", publisher.ready()).await;
    env.stop().await;
}
