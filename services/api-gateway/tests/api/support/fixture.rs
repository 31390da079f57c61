//! A database for one test, and gateways on it.

use std::{
    process::ExitCode,
    sync::{Mutex, OnceLock},
};

use api_gateway::{Parts, Settings, start};
use broker::{Broker, BrokerConfig};
use persistence::Database;
use service_kit::{Health, Lifecycle, Scope};
use settings::Source;
use telemetry::{Guard, LogFormat, MetricsHandle, TelemetryConfig};
use tempfile::TempDir;
use test_support::TestDatabase;

use super::{ADMIN_KEY, Gateway, keys::store_callbacks_key, sql::Sql};

/// Limits that only matter to tests about limits are off, those that a busy machine would meet too; the port is free.
const DEFAULTS: [(&str, &str); 8] = [
    ("CALLBACK_MASTER_KEY", "0123456789abcdef0123456789abcdef"),
    ("ADMIN_API_KEY", ADMIN_KEY),
    ("LISTEN_ADDR", "127.0.0.1:0"),
    ("GLOBAL_RATE_LIMIT_RPS", "0"),
    ("USER_RATE_LIMIT_RPS", "0"),
    ("BACKPRESSURE_DATABASE_LATENCY_MS", "0"),
    ("BACKPRESSURE_HANDLER_LATENCY_MS", "0"),
    ("SHUTDOWN_TIMEOUT_SECS", "10"),
];

const UNPOISONED: &str = "no test panics while it holds the list";

/// An empty database and the gateways that use it.
pub(crate) struct Fixture {
    url: String,
    place: Place,
    running: Mutex<Vec<Running>>,
}

enum Place {
    Folder(TempDir),
    Server(TestDatabase),
    Nowhere,
}

struct Running {
    lifecycle: Lifecycle,
    database: Database,
}

/// Which broker a gateway has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerKind {
    InProcess,
    /// RabbitMQ at `RABBIT_URI`.
    Rabbit,
}

impl Fixture {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database");
        let url = format!("sqlite://{}/test.sqlite?mode=rwc", folder.path().display());
        Self::new(url, Place::Folder(folder))
    }

    pub(crate) async fn server() -> Self {
        let database = TestDatabase::create(&test_support::database_url()).await;
        Self::new(database.url().to_owned(), Place::Server(database))
    }

    /// No database of its own: the gateways are told where one is, or is not.
    pub(crate) fn without_database() -> Self {
        Self::new(String::new(), Place::Nowhere)
    }

    fn new(url: String, place: Place) -> Self {
        Self { url, place, running: Mutex::default() }
    }

    pub(crate) fn is_server(&self) -> bool {
        matches!(self.place, Place::Server(_))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A gateway with these settings, ready to work.
    pub(crate) async fn gateway(&self, settings: &[(&str, &str)]) -> Gateway {
        let gateway = self.start(settings, BrokerKind::InProcess).await;
        gateway.ready().await;
        if !settings.contains(&("AUTH_REQUIRED", "true")) {
            let running = self.running.lock().expect(UNPOISONED).last().map(|running| running.database.clone());
            store_callbacks_key(&running.expect("it runs")).await;
        }
        gateway
    }

    /// A gateway that listens; its database may not be there.
    pub(crate) async fn start(&self, settings: &[(&str, &str)], broker: BrokerKind) -> Gateway {
        let url = ("DATABASE_URL", self.url.as_str());
        let pairs = DEFAULTS.into_iter().chain([url]).chain(settings.iter().copied());
        let settings = Settings::load(&Source::from_pairs(pairs)).expect("the settings are accepted");
        let lifecycle = Lifecycle::for_tests();
        let scope = lifecycle.scope();
        let database = Database::open(settings.database.clone()).await.expect("the URL is accepted");
        prepare(&database, &settings, &scope);
        let broker = connect(broker, &settings, &scope);
        let (metrics, health) = (metrics_of_this_process(), Health::new());
        let parts = Parts { database: database.clone(), broker, metrics, on_accepted: None, health };
        let address = start(&settings, parts, &scope).expect("a port is free");
        self.running.lock().expect(UNPOISONED).push(Running { lifecycle, database });
        Gateway { address }
    }

    /// A connection for plain SQL.
    pub(crate) async fn sql(&self) -> Sql {
        Sql::connect(&self.url).await
    }

    /// Stops the gateways, looks at the books once more, and removes the database.
    pub(crate) async fn remove(self) {
        let running = std::mem::take(&mut *self.running.lock().expect(UNPOISONED));
        for Running { lifecycle, database } in running {
            lifecycle.stop.cancel();
            let code = lifecycle.run(std::time::Duration::from_secs(20)).await;
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "a task failed or did not end");
            database.close().await;
        }
        if !matches!(self.place, Place::Nowhere) {
            self.assert_conserved().await;
        }
        match self.place {
            Place::Folder(folder) => folder.close().expect("the folder is removed"),
            Place::Server(database) => database.drop().await.expect("the database is dropped"),
            Place::Nowhere => {}
        }
    }

    /// Every balance is the sum of its ledger, none is negative, and every message was charged.
    async fn assert_conserved(&self) {
        let mut sql = self.sql().await;
        let wrong_balances = sql
            .number(
                "SELECT COUNT(*) FROM user_balances b WHERE b.balance < 0 OR b.balance <>
                    (SELECT COALESCE(SUM(t.amount), 0) FROM user_transactions t WHERE t.user_id = b.user_id)",
            )
            .await;
        assert_eq!(wrong_balances, 0, "balances differ from their ledgers");
        let uncharged = sql
            .number(
                "SELECT COUNT(*) FROM message_status m WHERE NOT EXISTS
                    (SELECT 1 FROM user_transactions t WHERE t.transaction_id = m.transaction_id AND t.amount < 0)",
            )
            .await;
        assert_eq!(uncharged, 0, "messages without a charge");
        sql.close().await;
    }
}

/// As the process does it: in the background, until the database is there.
fn prepare(database: &Database, settings: &Settings, scope: &Scope) {
    let (database, stop, migrate) = (database.clone(), scope.stop.clone(), settings.database.auto_migrate);
    scope.spawn("prepare database", async move {
        stop.run_until_cancelled(Box::pin(database.prepare(migrate))).await;
    });
}

fn connect(kind: BrokerKind, settings: &Settings, scope: &Scope) -> Broker {
    let BrokerConfig { uri, topology } = settings.broker.clone();
    match kind {
        BrokerKind::InProcess => Broker::in_process(topology),
        BrokerKind::Rabbit => {
            let tasks = scope.support_tasks("broker");
            Broker::amqp(uri, topology, &tasks, scope.finish.clone()).expect("a usable URI")
        }
    }
}

/// One recorder serves all gateways of a process, so that tests look at differences only.
fn metrics_of_this_process() -> MetricsHandle {
    static TELEMETRY: OnceLock<Guard> = OnceLock::new();
    let init = || {
        let config =
            TelemetryConfig { service: "api-gateway", log: LogFormat::Json, filter: "off".to_owned(), otlp: None };
        telemetry::init(config).expect("telemetry starts once in a process")
    };
    TELEMETRY.get_or_init(init).metrics()
}
