//! A database for one test, and shorthands for what tests ask of it.

use std::time::Duration;

use domain::{
    CarriedMessage, CustomerId, Message, MessageBody, MessageId, MessageText, MessageType, Money, OutboxPayload,
    ProviderMessageId, Recipients, TopUpAmount, TransactionId,
};
use persistence::{
    AcceptOutcome, AcceptRequest, BeginRequest, Called, ClaimedEvent, ClaimedRecipient, Database, DatabaseConfig,
    Deferral, EventContent, IdempotentRequest, PutOff, TopUpRequest,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;
use test_support::TestDatabase;
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) struct Fixture {
    pub(crate) db: Database,
    pub(crate) url: String,
    /// The same database for plain SQL, to look at tables and to do what a person might do by hand.
    pub(crate) sql: DatabaseConnection,
    place: Place,
}

/// Removed when dropped as well, so that a failed test leaves nothing behind.
enum Place {
    Folder(TempDir),
    Server(TestDatabase),
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let fixture = Self::empty_sqlite().await;
        fixture.db.migrate().await.expect("migrates");
        fixture
    }

    pub(crate) async fn server() -> Self {
        let fixture = Self::empty_server().await;
        fixture.db.migrate().await.expect("migrates");
        fixture
    }

    pub(crate) async fn empty_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database");
        let url = format!("sqlite://{}/test.sqlite?mode=rwc", folder.path().display());
        Self::open(url, Place::Folder(folder)).await
    }

    pub(crate) async fn empty_server() -> Self {
        let database = TestDatabase::create(&test_support::database_url()).await;
        Self::open(database.url().to_owned(), Place::Server(database)).await
    }

    async fn open(url: String, place: Place) -> Self {
        let mut config = DatabaseConfig::new(url.clone().into());
        config.operation_timeout = Duration::from_secs(30);
        let db = Database::open(config).await.expect("the URL is accepted");
        let sql = sea_orm::Database::connect(&url).await.expect("connects");
        Self { db, url, sql, place }
    }

    pub(crate) async fn remove(self) {
        self.db.close().await;
        self.sql.close().await.expect("closes");
        match self.place {
            Place::Folder(folder) => folder.close().expect("the folder is removed"),
            Place::Server(database) => database.drop().await.expect("the database is dropped"),
        }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.sql.get_database_backend()
    }

    pub(crate) async fn execute(&self, sql: &str) -> u64 {
        let result = self.sql.execute_unprepared(sql).await;
        result.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }

    /// The first column of the only row.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let row = self.sql.query_one_raw(Statement::from_string(self.backend(), sql)).await;
        let row = row.unwrap_or_else(|error| panic!("{sql}: {error}")).expect("one row");
        row.try_get_by_index(0).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The server's sessions, as a table.
    pub(crate) async fn sessions(&self) -> &'static str {
        test_support::sessions(self.number(test_support::IS_MARIADB).await == 1)
    }

    pub(crate) async fn strings(&self, sql: &str) -> Vec<String> {
        let rows = self.sql.query_all_raw(Statement::from_string(self.backend(), sql)).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter().map(|row| row.try_get_by_index(0).expect("text")).collect()
    }

    pub(crate) async fn fund(&self, user: i64, credits: i64) {
        let request = top_up(user, credits);
        self.db.top_up(&request).await.expect("the top-up works");
    }

    pub(crate) async fn balance(&self, user: i64) -> i64 {
        self.number(&format!("SELECT balance FROM user_balances WHERE user_id = {user}")).await
    }

    /// Every balance equals the sum of its ledger.
    pub(crate) async fn assert_conserved(&self) {
        let wrong = self
            .number(
                "SELECT COUNT(*) FROM user_balances b WHERE b.balance <>
                    (SELECT COALESCE(SUM(t.amount), 0) FROM user_transactions t WHERE t.user_id = b.user_id)",
            )
            .await;
        assert_eq!(wrong, 0, "balances differ from their ledgers");
    }

    pub(crate) async fn accept_one(&self, request: AcceptRequest) -> AcceptOutcome {
        self.db.accept(&[request]).await.expect("the batch is stored").remove(0)
    }

    pub(crate) async fn statuses(&self, message: &MessageId) -> Vec<String> {
        self.strings(&format!(
            "SELECT CONCAT(recipient, ' ', status, ' ', provider) FROM message_status
             WHERE message_identifier = '{message}' ORDER BY id"
        ))
        .await
    }

    pub(crate) async fn begin(&self, request: &AcceptRequest) -> Vec<ClaimedRecipient> {
        let begin = self.db.begin_sending(&[begin_request(request)], LEASE).await.expect("begins").remove(0);
        assert_eq!((begin.busy, begin.finished, begin.unknown), (None, 0, 0));
        begin.claimed
    }

    /// Lets every lease end now, as if its time had passed.
    pub(crate) async fn expire_leases(&self) {
        self.execute("UPDATE message_status SET claimed_until = '2020-01-01 00:00:00' WHERE claimed_until IS NOT NULL")
            .await;
        self.execute("UPDATE outbox_events SET claimed_until = '2020-01-01 00:00:00' WHERE claimed_until IS NOT NULL")
            .await;
    }
}

pub(crate) fn begin_request(request: &AcceptRequest) -> BeginRequest {
    let body = &request.payload.message;
    BeginRequest {
        customer: body.customer_id,
        message_id: body.message_identifier.clone(),
        recipients: body.recipients.as_slice().to_vec(),
        expiry: None,
    }
}

/// Put off for so long: an operator may have these.
pub(crate) fn maybe_taken(recipients: &[ClaimedRecipient], delay: Duration) -> Deferral {
    Deferral { maybe_taken: recipients.to_vec(), untaken: Vec::new(), put_off: PutOff::by(delay) }
}

/// What an operator calls a message that reports of it; nothing where it says nothing.
pub(crate) fn called(id: &str) -> Vec<Called> {
    ProviderMessageId::parse(id).map(|id| Called::whole(id, true)).into_iter().collect()
}

pub(crate) fn customer(user: i64) -> CustomerId {
    CustomerId::try_from(user).expect("a valid id")
}

pub(crate) fn top_up(user: i64, credits: i64) -> TopUpRequest {
    TopUpRequest {
        customer: customer(user),
        amount: TopUpAmount::parse(credits).expect("a valid amount"),
        description: Some("test".to_owned()),
        transaction_id: TransactionId::from_uuid(Uuid::now_v7()),
        idempotency: None,
    }
}

pub(crate) fn request(user: i64, recipients: &[&str]) -> AcceptRequest {
    typed_request(user, recipients, MessageType::Normal, "hello")
}

pub(crate) fn typed_request(user: i64, recipients: &[&str], kind: MessageType, text: &str) -> AcceptRequest {
    let message = Message::plain(
        customer(user),
        MessageText::try_from(text.to_owned()).expect("a valid text"),
        Recipients::parse(recipients.iter().map(ToString::to_string).collect()).expect("valid recipients"),
        kind,
    );
    let transaction_id = TransactionId::from_uuid(Uuid::now_v7());
    let message = MessageBody::new(message, transaction_id.clone(), MessageId::from_uuid(Uuid::now_v7()));
    let payload = OutboxPayload {
        exchange: "message_exchange".to_owned(),
        routing_key: format!("message_{}", kind.as_str()),
        message,
        transaction_id,
    };
    let price = Money::new(if kind == MessageType::Express { 3 } else { 1 }).expect("positive");
    AcceptRequest::plain(payload, price, domain::Turn::from_stored(1))
}

pub(crate) fn with_key(mut request: AcceptRequest, key: &str, fingerprint: &str) -> AcceptRequest {
    request.idempotency = Some(idempotent(key, fingerprint));
    request
}

pub(crate) fn idempotent(key: &str, fingerprint: &str) -> IdempotentRequest {
    IdempotentRequest {
        key: domain::IdempotencyKey::parse(key.as_bytes()).expect("a valid key"),
        fingerprint: format!("{fingerprint:0>64}"),
    }
}

pub(crate) fn message_id(request: &AcceptRequest) -> &MessageId {
    &request.payload.message.message_identifier
}

/// Where an event that can be read goes, and its message.
pub(crate) fn message_of(event: &ClaimedEvent) -> (&str, &str, MessageBody) {
    let EventContent::Message(CarriedMessage { exchange, routing_key, body, .. }) = &event.content else {
        panic!("{:?}", event.content)
    };
    (exchange, routing_key, MessageBody::from_json(body.get().as_bytes()).expect("a message"))
}
