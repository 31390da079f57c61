//! A broker with queues of its own for each test.

use std::time::Duration;

use amqprs::{
    channel::{Channel, ExchangeDeleteArguments, QueueDeleteArguments},
    connection::{Connection, OpenConnectionArguments},
};
use broker::{Broker, Consumer, Delivery, Options, Outgoing, Published, Topology, dead_letter_queue};
use bytes::Bytes;
use domain::Lane;
use secrecy::SecretString;
use test_support::wait_until;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;
use uuid::Uuid;

/// Far longer than anything here takes; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Env {
    pub(crate) broker: Broker,
    pub(crate) topology: Topology,
    tasks: TaskTracker,
    stop: CancellationToken,
    server: Option<Url>,
}

impl Env {
    pub(crate) fn in_process() -> Self {
        let topology = topology();
        Self {
            broker: Broker::in_process(topology.clone()),
            topology,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            server: None,
        }
    }

    pub(crate) async fn amqp() -> Self {
        let env = Self::amqp_with(&server(), topology(), Options::default());
        within("the broker to connect", env.broker.connected()).await;
        within("the publisher to be ready", env.broker.publisher().ready()).await;
        env
    }

    /// Connects to `uri`, which may lead through a proxy; does not wait.
    pub(crate) fn amqp_with(uri: &Url, topology: Topology, options: Options) -> Self {
        Self::amqp_on(uri, server(), topology, options)
    }

    /// As [`Env::amqp_with`] on another server, of which `server` is an administrator's uri.
    pub(crate) fn amqp_on(uri: &Url, server: Url, topology: Topology, options: Options) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let uri = SecretString::from(uri.as_str());
        let broker =
            Broker::amqp_with(uri, topology.clone(), options, &tasks, stop.clone()).expect("the uri to be accepted");
        Self { broker, topology, tasks, stop, server: Some(server) }
    }

    pub(crate) fn express(&self) -> String {
        self.topology.queue(Lane::Express).to_owned()
    }

    pub(crate) fn consumer(&self, prefetch: u16) -> Consumer {
        self.broker.consumer(self.topology.queue(Lane::Express), prefetch)
    }

    pub(crate) fn dead_letters(&self) -> Consumer {
        self.broker.consumer(&dead_letter_queue(self.topology.queue(Lane::Express)), 10)
    }

    /// A message with this id to the express queue.
    pub(crate) fn message(&self, id: &str) -> Outgoing {
        Outgoing {
            exchange: self.topology.exchange().to_owned(),
            routing_key: self.express(),
            message_id: id.to_owned(),
            body: Bytes::from(format!("{{\"id\":\"{id}\"}}")),
            traceparent: None,
            timestamp: 1_700_000_000,
        }
    }

    pub(crate) async fn publish(&self, ids: &[&str]) {
        let batch = ids.iter().map(|id| self.message(id)).collect();
        let outcomes = within("the batch to be published", self.broker.publisher().publish(batch)).await;
        assert_eq!(outcomes, vec![Published::Confirmed; ids.len()]);
    }

    /// Stops the broker, and checks that nothing of it runs on.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        within("every task of the broker to end", self.tasks.wait()).await;
    }

    /// The same, and removes what it declared.
    pub(crate) async fn remove(self) {
        self.stop().await;
        if let Some(server) = &self.server {
            let (connection, channel) = admin(server).await;
            for queue in [self.topology.queue(Lane::Express), self.topology.queue(Lane::Normal)] {
                for name in [queue.to_owned(), dead_letter_queue(queue)] {
                    channel.queue_delete(QueueDeleteArguments::new(&name)).await.expect("the queue to be deleted");
                }
            }
            let exchange = ExchangeDeleteArguments::new(self.topology.exchange());
            channel.exchange_delete(exchange).await.expect("the exchange to be deleted");
            channel.close().await.expect("the channel to be closed");
            connection.close().await.expect("the connection to be closed");
        }
    }
}

/// Names nobody else uses.
pub(crate) fn topology() -> Topology {
    let unique = Uuid::now_v7();
    Topology::new(format!("test-{unique}"), format!("test-{unique}-express"), format!("test-{unique}-normal"))
        .expect("the names to be valid")
}

/// The server for tests.
#[expect(clippy::disallowed_methods, reason = "the one setting of these tests comes from the environment")]
pub(crate) fn server() -> Url {
    let uri = std::env::var("TEST_RABBIT_URI").expect("set TEST_RABBIT_URI or run the tests with `cargo xtask test`");
    Url::parse(&uri).expect("TEST_RABBIT_URI to be a uri")
}

/// A connection past the broker under test.
pub(crate) async fn admin(server: &Url) -> (Connection, Channel) {
    let (user, password) = match server.username() {
        "" => ("guest", "guest"),
        user => (user, server.password().unwrap_or_default()),
    };
    let host = server.host_str().expect("TEST_RABBIT_URI to have a host");
    let mut arguments = OpenConnectionArguments::new(host, server.port().unwrap_or(5672), user, password);
    match server.path().trim_start_matches('/') {
        "" | "%2f" | "%2F" => {}
        vhost => {
            arguments.virtual_host(vhost);
        }
    }
    let connection = Connection::open(&arguments).await.expect("a connection to the test server");
    let channel = connection.open_channel(None).await.expect("a channel");
    (connection, channel)
}

pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    wait_until(DEADLINE, what, async || condition().then_some(())).await;
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    within("a delivery", consumer.next()).await.expect("the consumer to go on")
}

pub(crate) async fn next_ids(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let delivery = next(consumer).await;
        ids.push(id(&delivery));
        delivery.ack().await;
    }
    ids.sort();
    ids
}

pub(crate) fn id(delivery: &Delivery) -> String {
    delivery.message_id.clone().expect("a message id")
}
