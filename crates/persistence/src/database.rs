//! The connection pool, the schema check at start, and the frame every operation runs in.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::RetrySchedule;
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, SqlxError,
    sqlx::{AssertSqlSafe, Connection as _, Executor as _},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::{
    DatabaseConfig, Error,
    dialect::Dialect,
    retry::{StepError, read, to_error},
};

/// A handle on the database; clones share one pool.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    pool: DatabaseConnection,
    dialect: Dialect,
    config: DatabaseConfig,
    schema_ready: watch::Sender<bool>,
}

/// How long a connection may take to show that it still works when it comes back to the pool.
const RETURN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long closing the pool may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the server keeps a connection, with its locks, that says nothing: a client that vanished in the middle of
/// a transaction holds up others no longer than this.
const SERVER_WAIT_SECONDS: u64 = 60;
/// Statements kept prepared for each connection. The server allows 16,382 in all (`max_prepared_stmt_count`).
const PREPARED_STATEMENTS: usize = 32;

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("dialect", &self.shared.dialect).finish_non_exhaustive()
    }
}

impl Database {
    /// Prepares a pool without connecting: the first operation connects, and a database that is down makes
    /// operations fail, not the process.
    ///
    /// # Errors
    /// [`Error::Url`] when the URL is neither `mysql://` nor `sqlite://`, or cannot be parsed.
    pub async fn open(config: DatabaseConfig) -> Result<Self, Error> {
        let options = connect_options(&config)?;
        let pool = sea_orm::Database::connect(options).await.map_err(|_| Error::Url { expected: ACCEPTED_URLS })?;
        let dialect = Dialect::of(pool.get_database_backend());
        Ok(Self { shared: Arc::new(Shared { pool, dialect, config, schema_ready: watch::Sender::new(false) }) })
    }

    /// Brings the schema up to date, and lets operations begin. Safe when several processes start at once.
    pub async fn migrate(&self) -> Result<(), Error> {
        let doing = "migrating the schema";
        migrations::up(self.url().expose_secret()).await.map_err(|error| to_error(doing, error.into()))?;
        self.assume_migrated();
        Ok(())
    }

    /// Brings the schema up to date, however long it takes: tries again with growing pauses until it works.
    /// With `migrate` false somebody else keeps the schema, and operations may begin at once.
    pub async fn prepare(&self, migrate: bool) {
        const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(200), Duration::from_secs(5));
        if !migrate {
            self.assume_migrated();
            return;
        }
        for retry in 0.. {
            let Err(error) = self.migrate().await else { break };
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, "the database is not ready, trying again");
            let pause = PAUSES.delay(retry, &mut rand::rng()).unwrap_or(Duration::from_secs(5));
            tokio::time::sleep(pause).await;
        }
        tracing::info!("the database is ready");
    }

    /// Lets operations begin on a schema that somebody else keeps up to date.
    pub fn assume_migrated(&self) {
        self.shared.schema_ready.send_replace(true);
    }

    /// Resolves once the schema is known to be there, so that background work need not begin with errors.
    pub async fn migrated(&self) {
        let mut ready = self.shared.schema_ready.subscribe();
        ready.wait_for(|ready| *ready).await.expect("this handle keeps the sender alive");
    }

    /// Whether the schema is there and the server answers.
    pub async fn is_ready(&self) -> bool {
        let answer = read!(self, "ping", "checking that the database answers", |db| {
            Ok(db.execute_unprepared("SELECT 1").await?)
        });
        answer.is_ok()
    }

    /// Connections of the pool: open, and of these idle.
    pub fn pool_use(&self) -> (u32, u32) {
        let counts = match self.shared.dialect {
            Dialect::MySql => {
                let pool = self.shared.pool.get_mysql_connection_pool();
                (pool.size(), pool.num_idle())
            }
            Dialect::Sqlite => {
                let pool = self.shared.pool.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        (counts.0, u32::try_from(counts.1).unwrap_or(u32::MAX))
    }

    /// Closes the pool once its connections have come back, or after two seconds.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.shared.pool.clone().close()).await.is_err() {
            tracing::debug!("some database connections did not come back in time");
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    fn url(&self) -> &SecretString {
        &self.shared.config.url
    }

    pub(crate) fn pool(&self) -> &DatabaseConnection {
        &self.shared.pool
    }

    /// Runs one operation: named and timed for the metrics, bounded in time, and only once the schema is there.
    pub(crate) async fn bounded<T>(
        &self,
        query: &'static str,
        doing: &'static str,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Error> {
        if !*self.shared.schema_ready.borrow() {
            return Err(Error::Unavailable { doing, source: None });
        }
        let started = Instant::now();
        let in_time = tokio::time::timeout(self.shared.config.operation_timeout, work).await;
        let result = match in_time {
            Ok(result) => result.map_err(|error| to_error(doing, error)),
            Err(_) => Err(Error::Unavailable { doing, source: None }),
        };
        let label = if result.is_ok() { "ok" } else { "error" };
        metrics::counter!("db_queries_total", "query" => query, "result" => label).increment(1);
        metrics::histogram!("db_query_duration_seconds", "query" => query).record(started.elapsed());
        let (open, idle) = self.pool_use();
        metrics::gauge!("db_pool_connections", "state" => "open").set(open);
        metrics::gauge!("db_pool_connections", "state" => "idle").set(idle);
        result
    }
}

const ACCEPTED_URLS: &str = "use mysql://user:password@host:port/name or sqlite://path";

fn connect_options(config: &DatabaseConfig) -> Result<ConnectOptions, Error> {
    let url = config.url.expose_secret();
    if !["mysql://", "mariadb://", "sqlite:"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Error::Url { expected: ACCEPTED_URLS });
    }
    let mut options = ConnectOptions::new(url);
    options
        .connect_lazy(true)
        .sqlx_logging(false)
        .acquire_timeout(config.operation_timeout.mul_f64(0.9))
        .max_lifetime(config.max_lifetime)
        // No round trip before each operation: a dead connection fails while the transaction begins, which is retried.
        .test_before_acquire(false);
    if url.starts_with("sqlite:") {
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
    } else {
        configure_mysql(&mut options, config);
    }
    Ok(options)
}

fn configure_mysql(options: &mut ConnectOptions, config: &DatabaseConfig) {
    options
        .max_connections(config.max_connections)
        .min_connections(config.min_connections)
        .idle_timeout(Duration::from_secs(SERVER_WAIT_SECONDS / 2));
    options.map_sqlx_mysql_opts(|mysql| mysql.statement_cache_capacity(PREPARED_STATEMENTS));
    // READ COMMITTED: claims and batches lock the rows they name, never the gaps between them. A statement of ours
    // that we no longer wait for stops waiting for its lock as well.
    let lock_wait = config.operation_timeout.as_secs().max(1);
    let limits = format!("SET SESSION wait_timeout = {SERVER_WAIT_SECONDS}, innodb_lock_wait_timeout = {lock_wait}");
    options.map_sqlx_mysql_pool_opts(move |pool| {
        let limits = limits.clone();
        pool.after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move {
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                connection.execute(AssertSqlSafe(limits)).await.map(|_| ())
            })
        })
        // An operation that was cut off leaves its connection waiting for an answer, perhaps for ever. One that does not
        // come to itself soon is thrown away; otherwise it would keep its place in the pool.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answer = tokio::time::timeout(RETURN_TIMEOUT, connection.ping()).await;
                answer.map_err(|_| SqlxError::Io(io::ErrorKind::TimedOut.into()))?.map(|()| true)
            })
        })
    });
}
