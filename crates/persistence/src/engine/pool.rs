//! The connections: how they are set up, and when they are given up.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use migrations::Address;
use sea_orm::{
    ConnectOptions, DatabaseConnection, DbErr,
    sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection},
};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{DatabaseConfig, Error, StepError, dialect::Dialect, nodelay, warm::Warm};

/// How long the server keeps a connection, with its locks, that says nothing: a client that vanished in the middle of
/// a transaction holds up others no longer than this. A relay that holds events says nothing while it waits for the broker.
const SERVER_WAIT_SECONDS: u64 = 30;
/// How long events may be held: longer than any wait for confirms, shorter than the server keeps a session that says nothing.
pub const HELD_AT_MOST: Duration = Duration::from_secs(15);
const _: () =
    assert!(SERVER_WAIT_SECONDS > HELD_AT_MOST.as_secs(), "held events would be lost to a broker that is slow");
/// Statements kept prepared for each connection: more than a service has (see `statements`), so that none is ever closed.
/// The server allows 16,382 in all (`max_prepared_stmt_count`).
const PREPARED_STATEMENTS: usize = 256;
/// Operations in a row that must run out of time before the connections are given up.
const SILENT_OPERATIONS: u32 = 16;
/// The least time between two such decisions.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// The least time between two times that an error of the server makes new connections; it doubles while they go on.
const DISTRUST_EVERY: Duration = Duration::from_secs(1);
const DISTRUST_AT_MOST: Duration = Duration::from_secs(5);
/// After this long without one, the next counts as the first.
const TRUSTED_AFTER: Duration = Duration::from_secs(30);

/// The connections in use now.
pub(crate) struct Pool {
    current: RwLock<Connections>,
    silence: Mutex<Silence>,
}

/// A pool with what is kept back from it.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) pool: DatabaseConnection,
    pub(crate) warm: Arc<Warm>,
}

impl Connections {
    /// Connections: open, and of these idle.
    pub(super) fn in_use(&self) -> (u32, u32) {
        let (open, idle) = match Dialect::of(self.pool.get_database_backend()) {
            Dialect::MySql => {
                let pool = self.pool.get_mysql_connection_pool();
                (pool.size(), pool.num_idle() + self.warm.len())
            }
            Dialect::Sqlite => {
                let pool = self.pool.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        (open, u32::try_from(idle).unwrap_or(u32::MAX))
    }

    /// Closes the pool once its connections have come back.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.warm.close();
        self.pool.clone().close().await
    }
}

/// What is known of a database that does not answer.
struct Silence {
    operations: u32,
    renewed: Instant,
    /// The least time until an error of the server makes new connections again.
    distrust_pause: Duration,
}

impl Pool {
    pub(crate) async fn open(config: &DatabaseConfig) -> Result<Self, Error> {
        let silence = Silence { operations: 0, renewed: Instant::now(), distrust_pause: DISTRUST_EVERY };
        let current = RwLock::new(connect(config).await?);
        Ok(Self { current, silence: Mutex::new(silence) })
    }

    pub(crate) fn current(&self) -> Connections {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of whether an operation ended in time.
    ///
    /// A TLS connection whose peer vanished without a word cannot even be closed before the kernel gives it up, a quarter
    /// of an hour later, and keeps its place in the pool so long. When nothing is seen but silence, a new pool takes the
    /// old one's place.
    pub(crate) async fn note(&self, ended: bool, config: &DatabaseConfig) {
        if !is_sqlite(config) && self.is_silent(ended) && self.renew(config).await {
            tracing::warn!(
                outage = "database",
                "the database did not answer for a while; its connections are given up"
            );
        }
    }

    /// Takes note of an error that speaks of a session or its server, as after a switch-over or a restart.
    ///
    /// The idle connections lead to the same server, which may be read-only for good now or not there any more. A new
    /// pool takes the old one's place, so that not every one of them has to fail an operation first.
    pub(crate) async fn distrust(&self, error: &DbErr, config: &DatabaseConfig) {
        if !is_sqlite(config) && self.is_time_to_renew() && self.renew(config).await {
            tracing::warn!(outage = "database", %error, "the database server is given up with its connections");
        }
    }

    async fn renew(&self, config: &DatabaseConfig) -> bool {
        // Boxed: it is large, rare, and part of every operation.
        let Ok(renewed) = Box::pin(connect(config)).await else { return false };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        true
    }

    fn is_time_to_renew(&self) -> bool {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let since = silence.renewed.elapsed();
        if since < silence.distrust_pause {
            return false;
        }
        let pause =
            if since < TRUSTED_AFTER { DISTRUST_AT_MOST.min(silence.distrust_pause * 2) } else { DISTRUST_EVERY };
        *silence = Silence { operations: 0, renewed: Instant::now(), distrust_pause: pause };
        true
    }

    fn is_silent(&self, ended: bool) -> bool {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if ended {
            silence.operations = 0;
            return false;
        }
        silence.operations += 1;
        let is_silent = silence.operations >= SILENT_OPERATIONS && silence.renewed.elapsed() >= RENEW_EVERY;
        if is_silent {
            (silence.operations, silence.renewed) = (0, Instant::now());
        }
        is_silent
    }
}

/// Prepares connections without making one.
async fn connect(config: &DatabaseConfig) -> Result<Connections, Error> {
    let options = connect_options(config)?;
    let pool = sea_orm::Database::connect(options).await;
    let pool = pool.map_err(|error| StepError::from(error).into_error("opening the database"))?;
    Ok(Connections { pool, warm: Arc::default() })
}

fn is_sqlite(config: &DatabaseConfig) -> bool {
    config.url.expose_secret().starts_with("sqlite:")
}

fn connect_options(config: &DatabaseConfig) -> Result<ConnectOptions, Error> {
    let address = Address::parse(config.url.expose_secret())?;
    let mut options = ConnectOptions::new(address.url());
    options
        .connect_lazy(true)
        .sqlx_logging(false)
        .acquire_timeout(config.operation_timeout.mul_f64(0.9))
        .max_lifetime(config.max_lifetime)
        // No round trip before each operation: a dead connection fails while the transaction begins, which is retried.
        .test_before_acquire(false);
    if address.file().is_some() {
        use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
        // One connection: SQLite has one writer, and so nobody ever waits for a lock.
        options.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
        options.map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(5))
        });
        options.map_sqlx_sqlite_pool_opts(|pool| {
            pool.before_acquire(|connection, _| Box::pin(async move { Ok(is_outside_transaction(connection).await) }))
        });
    } else {
        configure_mysql(&mut options, address, config);
    }
    Ok(options)
}

/// Whether a connection that is taken may begin something: what is written inside a transaction that somebody left open
/// would look stored to us, and to nobody else. SQLite refuses a second BEGIN; a first one touches no file.
async fn is_outside_transaction(connection: &mut SqliteConnection) -> bool {
    !connection.is_in_transaction() && connection.execute("BEGIN; ROLLBACK").await.is_ok()
}

fn configure_mysql(options: &mut ConnectOptions, address: Address, config: &DatabaseConfig) {
    options.max_connections(config.max_connections).idle_timeout(Duration::from_secs(SERVER_WAIT_SECONDS / 2));
    let port = address.port();
    options.map_sqlx_mysql_opts(move |mysql| address.adjust(mysql).statement_cache_capacity(PREPARED_STATEMENTS));
    // READ COMMITTED: claims and batches lock the rows they name, never the gaps between them. A statement of ours
    // that we no longer wait for stops waiting for its lock as well.
    let lock_wait = config.operation_timeout.as_secs().max(1);
    let limits = format!("SET SESSION wait_timeout = {SERVER_WAIT_SECONDS}, innodb_lock_wait_timeout = {lock_wait}");
    options.map_sqlx_mysql_pool_opts(move |pool| {
        let limits = limits.clone();
        pool.after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move {
                port.into_iter().for_each(nodelay::tcp_nodelay_to);
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                connection.execute(AssertSqlSafe(limits)).await.map(|_| ())
            })
        })
    });
}
