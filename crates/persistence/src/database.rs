//! The connection pool, the schema check at start, and the frame every operation runs in.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use domain::RetrySchedule;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, sqlx::Executor};
use secrecy::{ExposeSecret, SecretString};

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
    pool: RwLock<DatabaseConnection>,
    dialect: Dialect,
    config: DatabaseConfig,
    schema_ready: AtomicBool,
    /// Operations in a row that ran out of time.
    timeouts: AtomicU32,
}

/// Timeouts in a row after which the pool is given up for a new one.
const RENEW_POOL_AFTER: u32 = 16;

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
        Ok(Self {
            shared: Arc::new(Shared {
                pool: RwLock::new(pool),
                dialect,
                config,
                schema_ready: AtomicBool::new(false),
                timeouts: AtomicU32::new(0),
            }),
        })
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
        self.shared.schema_ready.store(true, Ordering::Release);
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
                let pool = self.pool();
                let pool = pool.get_mysql_connection_pool();
                (pool.size(), pool.num_idle())
            }
            Dialect::Sqlite => {
                let pool = self.pool();
                let pool = pool.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        (counts.0, u32::try_from(counts.1).unwrap_or(u32::MAX))
    }

    /// Closes the pool once its connections have come back.
    pub async fn close(&self) {
        if let Err(error) = self.pool().close().await {
            tracing::debug!(%error, "closing the database pool failed");
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    fn url(&self) -> &SecretString {
        &self.shared.config.url
    }

    pub(crate) fn pool(&self) -> DatabaseConnection {
        self.shared.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs one operation: named and timed for the metrics, bounded in time, and only once the schema is there.
    pub(crate) async fn bounded<T>(
        &self,
        query: &'static str,
        doing: &'static str,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Error> {
        if !self.shared.schema_ready.load(Ordering::Acquire) {
            return Err(Error::Unavailable { doing, source: None });
        }
        let started = Instant::now();
        let in_time = tokio::time::timeout(self.shared.config.operation_timeout, work).await;
        let result = if let Ok(result) = in_time {
            self.shared.timeouts.store(0, Ordering::Relaxed);
            result.map_err(|error| to_error(doing, error))
        } else {
            self.count_timeout().await;
            Err(Error::Unavailable { doing, source: None })
        };
        let label = if result.is_ok() { "ok" } else { "error" };
        metrics::counter!("db_queries_total", "query" => query, "result" => label).increment(1);
        metrics::histogram!("db_query_duration_seconds", "query" => query).record(started.elapsed());
        result
    }

    /// A connection whose peer vanished without a word keeps its place in the pool until the kernel gives it up, a
    /// quarter of an hour later. When nothing but timeouts is seen, a new pool takes the old one's place.
    async fn count_timeout(&self) {
        let timeouts = self.shared.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
        if self.shared.dialect == Dialect::Sqlite || !timeouts.is_multiple_of(RENEW_POOL_AFTER) {
            return;
        }
        let Ok(options) = connect_options(&self.shared.config) else { return };
        if let Ok(pool) = sea_orm::Database::connect(options).await {
            tracing::warn!(timeouts, "the database did not answer for a while; its connections are given up");
            *self.shared.pool.write().unwrap_or_else(PoisonError::into_inner) = pool;
        }
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
        options.max_connections(config.max_connections).min_connections(config.min_connections);
        options.map_sqlx_mysql_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    // READ COMMITTED: claims and batches lock the rows they name, never the gaps between them.
                    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                    Ok(())
                })
            })
        });
    }
    Ok(options)
}
