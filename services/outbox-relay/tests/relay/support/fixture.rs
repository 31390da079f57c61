//! A database for one test with accepted messages in it, and relays on it.

use std::{process::ExitCode, time::Duration};

use broker::{Broker, Outgoing, Published, Topology};
use domain::{
    CustomerId, Lane, Message, MessageBody, MessageId, MessageText, MessageType, Money, OutboxPayload, PerLane,
    Recipients, TopUpAmount, TransactionId, Turn,
};
use outbox_relay::{RelayConfig, Wake, start};
use persistence::{AcceptOutcome, AcceptRequest, Database, DatabaseConfig, TopUpRequest};
use service_kit::{Lifecycle, Scope};
use tempfile::TempDir;
use test_support::Counted;

use super::{Queue, Sql, eventually};

/// Who sends everything.
pub(crate) const CUSTOMER: i64 = 1;
/// What one recipient costs.
pub(crate) const PRICE: i64 = 10;
/// What the customer has at first.
const CREDITS: i64 = 100_000;

/// A migrated database and the broker of its relays.
pub(crate) struct Fixture {
    pub(crate) sql: Sql,
    pub(crate) broker: Broker,
    pub(crate) metrics: Counted,
    /// The gateway's handle.
    database: Database,
    url: String,
    folder: TempDir,
}

/// A running relay, with a handle on the database of its own.
pub(crate) struct Relay {
    pub(crate) database: Database,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) scope: Scope,
    pub(crate) wake: Wake,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_broker(Broker::in_process(topology())).await
    }

    pub(crate) async fn with_broker(broker: Broker) -> Self {
        let metrics = Counted::on_this_thread();
        let folder = tempfile::tempdir().expect("a folder for the database");
        let url = format!("sqlite://{}/test.sqlite?mode=rwc", folder.path().display());
        let database = Database::open(DatabaseConfig::new(url.clone().into())).await.expect("the URL is accepted");
        database.migrate().await.expect("migrates");
        let credits = TopUpRequest {
            customer: CustomerId::try_from(CUSTOMER).expect("a valid id"),
            amount: TopUpAmount::parse(CREDITS).expect("a valid amount"),
            description: None,
            transaction_id: TransactionId::try_from("credits".to_owned()).expect("a valid id"),
            idempotency: None,
        };
        database.top_up(&credits).await.expect("the top-up works");
        let sql = Sql::connect(&url).await;
        Self { sql, broker, metrics, database, url, folder }
    }

    /// Charges and stores messages as the gateway does.
    pub(crate) async fn accept(&self, requests: &[AcceptRequest]) {
        let outcomes = self.database.accept(requests).await.expect("the batch is stored");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, AcceptOutcome::Accepted(_))), "{outcomes:?}");
    }

    /// A relay that works.
    pub(crate) async fn relay(&self, config: &RelayConfig) -> Relay {
        let relay = self.idle_relay(Duration::from_secs(30)).await;
        relay.start(config, &self.broker);
        relay
    }

    /// A relay that is yet to be started; its operations on the database take at most `patience`.
    pub(crate) async fn idle_relay(&self, patience: Duration) -> Relay {
        let database = self.open(patience).await;
        database.assume_migrated();
        let lifecycle = Lifecycle::for_tests();
        let scope = lifecycle.scope();
        Relay { database, lifecycle, scope, wake: Wake::default() }
    }

    /// Another handle on the database, which has not looked at its schema yet.
    pub(crate) async fn open(&self, patience: Duration) -> Database {
        let mut config = DatabaseConfig::new(self.url.clone().into());
        config.operation_timeout = patience;
        Database::open(config).await.expect("the URL is accepted")
    }

    /// Puts something into the normal queue that comes from no outbox.
    pub(crate) async fn publish_by_hand(&self, id: &str) {
        let topology = self.broker.topology();
        let message = Outgoing {
            exchange: topology.exchange().to_owned(),
            routing_key: topology.queue(Lane::Normal).to_owned(),
            message_id: id.to_owned(),
            body: Vec::new().into(),
            traceparent: None,
            timestamp: 0,
        };
        assert_eq!(self.broker.publisher().publish(vec![message]).await, [Published::Confirmed]);
    }

    pub(crate) fn normal(&self) -> Queue {
        Queue::of(&self.broker, self.broker.topology().queue(Lane::Normal))
    }

    pub(crate) fn express(&self) -> Queue {
        Queue::of(&self.broker, self.broker.topology().queue(Lane::Express))
    }

    /// Messages that wait in the queue of a type.
    pub(crate) fn depth(&self, kind: MessageType) -> u64 {
        self.broker.watch_depths(Duration::from_millis(100)).latest().expect("a broker in this process")[Lane::of(kind)]
    }

    /// Waits until the event of a message is recorded as published.
    pub(crate) async fn published(&self, message: &str) {
        let what = format!("{message} is recorded as published");
        eventually(&what, async || self.sql.event(message).await.status == "processed").await;
    }

    /// Keeps the relay from recording a message that it has just published: the database is locked, and the event's lease
    /// is still on it. Gives the message's identifier.
    pub(crate) async fn hold_before_recording(&self) -> String {
        let mut queue = self.normal();
        for number in 0..1_000 {
            let id = format!("held{number}");
            self.accept(&[message(&id, &["+4915110"])]).await;
            assert_eq!(queue.take().await, id);
            self.sql.lock().await;
            // Where the relay was faster it is tried once more.
            if self.sql.event(&id).await.status == "processing" {
                return id;
            }
            self.sql.unlock().await;
        }
        panic!("the relay is always faster");
    }

    /// What the customer was charged and did not get back.
    pub(crate) async fn spent(&self) -> i64 {
        let balance = format!("SELECT balance FROM user_balances WHERE user_id = {CUSTOMER}");
        CREDITS - self.sql.number(&balance).await
    }

    /// Looks at the books once more, and removes the database.
    pub(crate) async fn remove(self) {
        let ledger = format!("SELECT SUM(amount) FROM user_transactions WHERE user_id = {CUSTOMER}");
        assert_eq!(CREDITS - self.sql.number(&ledger).await, self.spent().await, "the balance is not the ledger's sum");
        self.database.close().await;
        self.sql.close().await;
        self.folder.close().expect("the folder is removed");
    }
}

impl Relay {
    pub(crate) fn start(&self, config: &RelayConfig, broker: &Broker) {
        start(config, &self.database, Some(broker), &self.wake, &self.scope);
    }

    /// Waits until no operation of it is at the database: a claim that was under way has ended.
    pub(crate) async fn quiet(&self) {
        eventually("a database at rest", async || self.database.pool_use() == (1, 1)).await;
    }

    /// Looks at the schema, which is found to be one to work on or not.
    pub(crate) async fn look_at_schema(&self, fits: bool) {
        let seen = eventually("the schema to be looked at", async || self.database.is_migrated() == fits);
        tokio::select! {
            () = self.database.clone().prepare(false) => {}
            () = seen => {}
        }
    }

    /// Stops the relay as SIGTERM does, and closes its connection.
    pub(crate) async fn stop(self) {
        self.end().await.close().await;
    }

    /// Stops the relay as SIGTERM does; every task must end by itself.
    pub(crate) async fn end(self) -> Database {
        self.lifecycle.stop.cancel();
        let code = self.lifecycle.run(Duration::from_secs(20)).await;
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "a task failed or did not end");
        self.database
    }
}

/// One claimer a lane, which looks for events all the time; nothing is limited but the batch.
pub(crate) fn config() -> RelayConfig {
    RelayConfig {
        most_pending: 5_000,
        claimers: PerLane { express: 1, normal: 1 },
        batch: 10,
        lease: Duration::from_mins(1),
        poll: PerLane::from_fn(|_| Duration::from_millis(5)),
        max_queued: None,
        republish_after: Duration::from_mins(15),
        retention: Duration::from_hours(72),
        ledger_audit: None,
        callbacks: None,
    }
}

pub(crate) fn topology() -> Topology {
    Topology::new("exchange", "express", "normal").expect("usable names")
}

/// A normal message to these numbers.
pub(crate) fn message(id: &str, recipients: &[&str]) -> AcceptRequest {
    request(id, recipients, MessageType::Normal)
}

/// An express message to one number.
pub(crate) fn express(id: &str) -> AcceptRequest {
    request(id, &["+4915110"], MessageType::Express)
}

fn request(id: &str, recipients: &[&str], kind: MessageType) -> AcceptRequest {
    let message = Message::plain(
        CustomerId::try_from(CUSTOMER).expect("a valid id"),
        MessageText::try_from("hello".to_owned()).expect("a valid text"),
        Recipients::parse(recipients.iter().map(ToString::to_string).collect()).expect("valid recipients"),
        kind,
    );
    let transaction_id = TransactionId::try_from(format!("charge-{id}")).expect("a valid id");
    let message_id = MessageId::try_from(id.to_owned()).expect("a valid id");
    let topology = topology();
    let payload = OutboxPayload {
        exchange: topology.exchange().to_owned(),
        routing_key: topology.queue(Lane::of(kind)).to_owned(),
        message: MessageBody::new(message, transaction_id.clone(), message_id),
        transaction_id,
    };
    let price = Money::new(PRICE).expect("positive");
    AcceptRequest::plain(payload, price, Turn::from_stored(1))
}
