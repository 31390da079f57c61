//! The connection pool, the schema check at start, and the frame every operation runs in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::RetrySchedule;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::{
    DatabaseConfig, Error,
    dialect::Dialect,
    pool::Pool,
    retry::{StepError, read, to_error},
};

/// A handle on the database; clones share one pool.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    dialect: Dialect,
    config: DatabaseConfig,
    schema_ready: watch::Sender<bool>,
}

/// How long closing the pool may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

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
        let pool = Pool::open(&config).await?;
        let dialect = Dialect::of(pool.current().get_database_backend());
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
    pub async fn prepare(self, migrate: bool) {
        const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(200), Duration::from_secs(5));
        if !migrate {
            self.assume_migrated();
            return;
        }
        for retry in 0.. {
            let Err(error) = self.migrate().await else { break };
            let error = error.with_cause();
            tracing::warn!(outage = "database", error, "the database is not ready, trying again");
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

    /// Closes the pool once its connections have come back, or after two seconds.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.pool().close()).await.is_err() {
            tracing::debug!("some database connections did not come back in time");
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    fn url(&self) -> &SecretString {
        &self.shared.config.url
    }

    pub(crate) fn pool(&self) -> DatabaseConnection {
        self.shared.pool.current()
    }

    /// An error spoke of the server: see [`Pool::distrust`].
    pub(crate) async fn distrust_connections(&self, error: &DbErr) {
        self.shared.pool.distrust(error, &self.shared.config).await;
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
        self.shared.pool.note(in_time.is_ok(), &self.shared.config).await;
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
