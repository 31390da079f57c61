//! A database for one test with accepted messages in it, the queues they were published to, and workers on both.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use broker::{Broker, Options, Outgoing, Published, Topology, dead_letter_queue};
use callbacks::OperatorSecrets;
use delivery_worker::{Sending, WorkerConfig, start};
use domain::{
    CustomerId, Lane, Message, MessageBody, MessageId, MessageText, MessageType, Money, OutboxPayload, PerLane,
    Recipients, TopUpAmount, TransactionId, Turn,
};
use operator_simulator::Simulator;
use operators::{BreakerConfig, OperatorsConfig, parse_operators};
use persistence::{AcceptOutcome, AcceptRequest, ClaimToken, Database, DatabaseConfig, OutboxEventId, TopUpRequest};
use service_kit::Lifecycle;
use tempfile::TempDir;
use test_support::Counted;

use super::{Sql, eventually};

/// What one recipient costs.
pub(crate) const PRICE: i64 = 10;
/// Who sends everything.
const CUSTOMER: i64 = 1;
/// What the customer has at first.
const CREDITS: i64 = 100_000;

/// A migrated database, a broker, and operators.
pub(crate) struct Fixture {
    pub(crate) sql: Sql,
    pub(crate) broker: Broker,
    pub(crate) simulator: Simulator,
    pub(crate) metrics: Counted,
    /// The gateway's handle.
    database: Database,
    url: String,
    folder: TempDir,
}

/// A running worker, with a handle on the database of its own.
pub(crate) struct Worker {
    pub(crate) database: Database,
    pub(crate) lifecycle: Lifecycle,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_queues_of(Options::default().queue_capacity).await
    }

    /// Queues that take so many messages, those in a worker's hand included.
    pub(crate) async fn with_queues_of(capacity: usize) -> Self {
        let metrics = Counted::on_this_thread();
        let options = Options { queue_capacity: capacity, ..Options::default() };
        let topology = Topology::new("exchange", "express", "normal").expect("usable names");
        let broker = Broker::in_process_with(topology, &options);
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
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let simulator = Simulator::start(any).expect("a free port");
        Self { sql, broker, simulator, metrics, database, url, folder }
    }

    /// Charges and stores messages as the gateway does, and records them as published.
    pub(crate) async fn accept(&self, requests: &[AcceptRequest]) {
        let outcomes = self.database.accept(requests).await.expect("the batch is stored");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, AcceptOutcome::Accepted(_))), "{outcomes:?}");
        self.sql.execute("UPDATE outbox_events SET status = 'processed' WHERE status = 'pending'").await;
    }

    /// Puts messages into their queues as the relay does.
    pub(crate) async fn publish(&self, requests: &[AcceptRequest]) {
        for AcceptRequest { payload, .. } in requests {
            let body = serde_json::to_vec(&payload.message).expect("strings and numbers serialise");
            let published = self.publish_bytes(payload.message.kind, &payload.message.message_identifier, body).await;
            assert_eq!(published, Published::Confirmed);
        }
    }

    /// Accepts and publishes messages.
    pub(crate) async fn send(&self, requests: &[AcceptRequest]) {
        self.accept(requests).await;
        self.publish(requests).await;
    }

    /// Puts something into the normal queue that is no message; tells whether there was room for it.
    pub(crate) async fn publish_garbage(&self) -> bool {
        let id = MessageId::try_from("garbage".to_owned()).expect("a valid id");
        let body = br#"{"text": "no more"}"#.to_vec();
        self.publish_bytes(MessageType::Normal, &id, body).await == Published::Confirmed
    }

    async fn publish_bytes(&self, kind: MessageType, id: &MessageId, body: Vec<u8>) -> Published {
        let topology = self.broker.topology();
        let message = Outgoing {
            exchange: topology.exchange().to_owned(),
            routing_key: topology.queue(Lane::of(kind)).to_owned(),
            message_id: id.to_string(),
            body: body.into(),
            traceparent: None,
            timestamp: 0,
        };
        self.broker.publisher().publish(vec![message]).await.remove(0)
    }

    /// Messages that wait in the normal queue, those in a worker's hand left out.
    pub(crate) fn waiting(&self) -> u64 {
        self.broker.watch_depths(Duration::from_millis(100)).latest().expect("a broker in this process").normal
    }

    /// Waits until so many messages wait in the normal queue.
    pub(crate) async fn waits(&self, messages: u64) {
        eventually(&format!("{messages} messages in the queue"), async || self.waiting() == messages).await;
    }

    /// Waits until workers have answered so many deliveries of the normal queue in this way.
    pub(crate) async fn answered(&self, result: &str, deliveries: i64) {
        let series = format!("worker_events_total{{queue=\"normal\",result=\"{result}\"}}");
        self.metrics.reaches(&series, deliveries).await;
    }

    /// Takes all dead letters of the normal queue: their identifiers.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let mut consumer =
            self.broker.consumer(&dead_letter_queue(self.broker.topology().queue(Lane::Normal)), u16::MAX);
        let mut ids = Vec::new();
        // What is there comes at once: the broker is in this process.
        while let Ok(Some(delivery)) = tokio::time::timeout(Duration::ZERO, consumer.next()).await {
            ids.push(delivery.message_id.clone().expect("messages have identifiers"));
            delivery.ack().await;
        }
        ids
    }

    /// Operators of the simulator, in this order.
    pub(crate) fn operators(&self, names: &[&str]) -> OperatorsConfig {
        let list: Vec<_> = names.iter().map(|name| format!("{name}={}", self.simulator.operator_url(name))).collect();
        operators(&list.join(","))
    }

    /// The calls that the simulator's operators have had: operator and key.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.simulator.journal().iter().map(|entry| format!("{} {}", entry.operator, entry.key)).collect()
    }

    /// A worker that works.
    pub(crate) async fn worker(&self, config: &WorkerConfig, operators: OperatorsConfig) -> Worker {
        self.hasty_worker(config, operators, Duration::from_secs(30)).await
    }

    /// The same with operations on the database that take at most `patience`.
    pub(crate) async fn hasty_worker(
        &self,
        config: &WorkerConfig,
        operators: OperatorsConfig,
        patience: Duration,
    ) -> Worker {
        let database = self.open(patience).await;
        database.assume_migrated();
        let lifecycle = Lifecycle::for_tests();
        let scope = lifecycle.scope();
        let sending = Sending::build(operators, &scope).expect("a valid configuration");
        start(config, &database, &self.broker, sending, &scope);
        Worker { database, lifecycle }
    }

    /// Another handle on the database, which has not looked at its schema yet.
    pub(crate) async fn open(&self, patience: Duration) -> Database {
        let mut config = DatabaseConfig::new(self.url.clone().into());
        config.operation_timeout = patience;
        Database::open(config).await.expect("the URL is accepted")
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
        let failed = "SELECT COUNT(*) FROM message_status WHERE status = 'failed'";
        let refunds = "SELECT COUNT(*) FROM user_transactions WHERE refund_of IS NOT NULL";
        assert_eq!(self.sql.number(refunds).await, self.sql.number(failed).await, "a refund for each that failed");
        self.simulator.stop().await;
        self.database.close().await;
        self.sql.close().await;
        self.folder.close().expect("the folder is removed");
    }
}

impl Worker {
    /// Keeps the worker from its database: an operation that waits for the lock has its only connection.
    pub(crate) fn hold_connection(&self) {
        let database = self.database.clone();
        self.lifecycle.scope().spawn("hold the connection", async move {
            let changed = database.mark_processed(&[OutboxEventId::from_stored(0)], &ClaimToken::unique()).await;
            assert_eq!(changed.ok(), Some(0), "there is no such event");
        });
    }

    /// Looks at the schema, which is found to be one to work on or not.
    pub(crate) async fn look_at_schema(&self, fits: bool) {
        let seen = eventually("the schema to be looked at", async || self.database.is_migrated() == fits);
        tokio::select! {
            () = self.database.clone().prepare(false) => {}
            () = seen => {}
        }
    }

    /// Tells the worker to stop, as SIGTERM does, and waits for nothing.
    pub(crate) fn begin_to_stop(&self) {
        self.lifecycle.stop.cancel();
    }

    /// Stops the worker and closes its connection.
    pub(crate) async fn stop(self) {
        self.end().await.close().await;
    }

    /// Stops the worker as SIGTERM does; every task must end by itself.
    pub(crate) async fn end(self) -> Database {
        self.begin_to_stop();
        let code = self.lifecycle.run(Duration::from_secs(20)).await;
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "a task failed or did not end");
        self.database
    }
}

/// Bounds that no test meets by chance.
pub(crate) fn config() -> WorkerConfig {
    WorkerConfig {
        prefetch: PerLane { express: 50, normal: 50 },
        max_calls: 100,
        in_hand: Duration::from_mins(10),
        state_lanes: 1,
        pace: PerLane::from_fn(|_| Duration::ZERO),
        default_sender: None,
        validity: PerLane::from_fn(|_| None),
        receipt_secrets: OperatorSecrets::default(),
    }
}

/// No retries, a timeout longer than any test waits, a breaker that stays closed.
pub(crate) fn operators(list: &str) -> OperatorsConfig {
    OperatorsConfig {
        operators: parse_operators(list).expect("a valid list"),
        timeout: Duration::from_mins(1),
        max_retries: 0,
        retry_backoff: Duration::from_millis(1),
        breaker: BreakerConfig { failure_threshold: 1000, success_threshold: 1, open_timeout: Duration::from_hours(1) },
    }
}

/// A normal message to these numbers.
pub(crate) fn message(id: &str, recipients: &[&str]) -> AcceptRequest {
    request(id, recipients, MessageType::Normal)
}

/// An express message to one number.
pub(crate) fn express(id: &str, recipient: &str) -> AcceptRequest {
    request(id, &[recipient], MessageType::Express)
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
    let payload = OutboxPayload {
        exchange: "exchange".to_owned(),
        routing_key: kind.as_str().to_owned(),
        message: MessageBody::new(message, transaction_id.clone(), message_id),
        transaction_id,
    };
    let price = Money::new(PRICE).expect("positive");
    AcceptRequest::plain(payload, price, Turn::from_stored(1))
}
