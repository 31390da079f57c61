//! The account that `docs/accounts.md` describes, on a node of its own: it can do everything, and no right is for nothing.

use std::time::Duration;

use amqprs::channel::QueueDeclareArguments;
use broker::{Options, Published, Topology, dead_letter_queue};
use test_support::provision::{Backend, RabbitServer};
use url::Url;

use crate::{
    proxy::Proxy,
    support::{Env, admin, eventually, next, next_ids, within},
};

const GUIDE: &str = include_str!("../../../../docs/accounts.md");

/// The documented commands, as words. A quoted word has no spaces.
fn commands() -> Vec<Vec<&'static str>> {
    let lines = GUIDE.lines().filter_map(|line| line.strip_prefix("rabbitmqctl "));
    lines.map(|line| line.split(' ').map(|word| word.trim_matches('\'')).collect()).collect()
}

struct Account {
    node: RabbitServer,
    uri: Url,
}

impl Account {
    /// Makes it exactly as documented.
    async fn documented() -> Self {
        let backend = Backend::choose_private().expect("a node of this test's own");
        let node = RabbitServer::start(backend).await.expect("the node starts");
        let commands = commands();
        let [add, grant] = commands.as_slice() else { panic!("{commands:?}") };
        for command in [add, grant] {
            node.control(command).await.expect("a documented command works");
        }
        let mut uri = Url::parse(node.url()).expect("a uri");
        uri.set_username(add[1]).expect("amqp uris have users");
        uri.set_password(Some(add[2])).expect("amqp uris have passwords");
        assert_eq!(grant[..2], ["set_permissions", add[1]]);
        Self { node, uri }
    }

    /// A broker of the platform with the default names, which connects as this account through `uri`.
    fn broker(&self, uri: &Url) -> Env {
        let server = Url::parse(self.node.url()).expect("a uri");
        Env::amqp_on(uri, server, default_topology(), Options::default())
    }
}

fn default_topology() -> Topology {
    Topology::new("message_exchange", "message_express", "message_normal").expect("the defaults are valid")
}

#[tokio::test]
async fn the_documented_rights_are_enough() {
    let account = Account::documented().await;
    let env = account.broker(&account.uri);
    within("the broker to connect", env.broker.connected()).await;
    within("the publisher to be ready", env.broker.publisher().ready()).await;
    let depths = env.broker.watch_depths(Duration::from_millis(20));
    eventually("the depths to be known", || depths.latest().is_some()).await;
    let mut consumer = env.consumer(5);
    env.publish(&["a", "b"]).await;
    assert_eq!(next_ids(&mut consumer, 2).await, ["a", "b"]);
    env.publish(&["rejected"]).await;
    next(&mut consumer).await.dead_letter().await;
    // The dead-letter queue is for people: whoever looks into it is not this account. KEDA asks for lengths only.
    let waits = async {
        loop {
            let (connection, channel) = admin(&account.uri).await;
            let ask = QueueDeclareArguments::new(&dead_letter_queue(&env.express())).passive(true).finish();
            let (_, messages, _) =
                channel.queue_declare(ask).await.expect("lengths may be asked for").expect("an answer");
            connection.close().await.expect("the connection to be closed");
            if messages == 1 {
                return;
            }
        }
    };
    within("the dead letter to arrive", waits).await;
    consumer.stop().await;
    env.remove().await;
}

/// Takes one away of each kind, those that one would not think of.
#[tokio::test]
async fn none_of_the_documented_rights_can_be_left_out() {
    let account = Account::documented().await;
    let commands = commands();
    let [_, user, configure, write, read] = commands[1].as_slice() else { panic!("{commands:?}") };
    for (what, rights) in [
        ("declaring dead-letter queues", [configure.replace(r"(\.dlq)?", ""), (*write).to_owned(), (*read).to_owned()]),
        ("dead-lettering", [(*configure).to_owned(), write.replace(r"|amq\.default", ""), (*read).to_owned()]),
        ("binding", [(*configure).to_owned(), (*write).to_owned(), read.replace("exchange|", "")]),
    ] {
        let [less_configure, less_write, less_read] = &rights;
        assert_ne!(
            [less_configure, less_write, less_read],
            [*configure, *write, *read],
            "{what}: nothing was taken away"
        );
        let reduced = ["set_permissions", user, less_configure, less_write, less_read];
        account.node.control(&reduced).await.expect("rights can be changed");
        let proxy = Proxy::in_front_of(&account.uri).await;
        let env = account.broker(&proxy.uri(&account.uri));
        // Two connections, and a third one is made only after one of them has failed.
        within("a connection to be given up", proxy.accepted(4)).await;
        assert!(!env.broker.is_connected(), "{what}");
        assert_eq!(env.broker.publisher().publish(vec![env.message("a")]).await, [Published::NotSent], "{what}");
        env.remove().await;
    }
}
