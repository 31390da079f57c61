//! The connection pool, and the frame every operation runs in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use instruments::names::{self, label};
use sea_orm::DbErr;
use secrecy::SecretString;
use tokio::sync::watch;

use crate::{ReceiptPolicy, watched::WatchList};

use super::{
    DatabaseConfig, Error, Query, StepError,
    dialect::Dialect,
    pool::{Connections, Pool},
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
    schema: watch::Sender<Schema>,
    watch_list: WatchList,
}

/// What a process knows of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Nobody has looked yet, or could.
    Unknown,
    Fits,
    Missing,
    TooNew,
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
    /// [`Error::Url`] when the URL is not one of those in [`crate::Address`]; a file that cannot be opened.
    pub async fn open(config: DatabaseConfig) -> Result<Self, Error> {
        let pool = Pool::open(&config).await?;
        let dialect = Dialect::of(pool.current().pool.get_database_backend());
        let (schema, watch_list) = (watch::Sender::new(Schema::Unknown), WatchList::default());
        Ok(Self { shared: Arc::new(Shared { pool, dialect, config, schema, watch_list }) })
    }

    /// Connections of the pool: open, and of these idle.
    pub fn pool_use(&self) -> (u32, u32) {
        self.connections().in_use()
    }

    /// Closes the pool once its connections have come back, or after two seconds.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.connections().close()).await.is_err() {
            tracing::debug!("some database connections did not come back in time");
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// What is done about receipts.
    pub(crate) fn receipts(&self) -> &ReceiptPolicy {
        &self.shared.config.receipts
    }

    /// Which customers have endpoints for callbacks.
    pub(crate) fn watch_list(&self) -> &WatchList {
        &self.shared.watch_list
    }

    pub(crate) fn url(&self) -> &SecretString {
        &self.shared.config.url
    }

    /// What is known of the schema.
    pub(crate) fn schema(&self) -> &watch::Sender<Schema> {
        &self.shared.schema
    }

    pub(crate) fn connections(&self) -> Connections {
        self.shared.pool.current()
    }

    /// An error spoke of the server: see [`Pool::distrust`].
    pub(crate) async fn distrust_connections(&self, error: &DbErr) {
        self.shared.pool.distrust(error, &self.shared.config).await;
    }

    /// Whether the schema is known to fit. Operations are [`Error::Unavailable`] while it is not.
    pub fn is_migrated(&self) -> bool {
        *self.schema().borrow() == Schema::Fits
    }

    /// Runs one operation: named and timed for the metrics, bounded in time, and only while the schema fits.
    pub(crate) async fn bounded<T>(
        &self,
        query: Query,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Error> {
        if !self.is_migrated() {
            return Err(Error::Unavailable { doing: query.doing(), source: None });
        }
        self.measured(query, work).await
    }

    /// The same whatever the schema is.
    pub(crate) async fn measured<T>(
        &self,
        query: Query,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let in_time = tokio::time::timeout(self.shared.config.operation_timeout, work).await;
        self.shared.pool.note(in_time.is_ok(), &self.shared.config).await;
        let result = match in_time {
            Ok(result) => result.map_err(|error| error.into_error(query.doing())),
            Err(_) => Err(Error::Unavailable { doing: query.doing(), source: None }),
        };
        let ended = if result.is_ok() { "ok" } else { "error" };
        metrics::counter!(names::DB_QUERIES_TOTAL, label::QUERY => query.as_str(), label::RESULT => ended).increment(1);
        metrics::histogram!(names::DB_QUERY_DURATION_SECONDS, label::QUERY => query.as_str()).record(started.elapsed());
        let (open, idle) = self.pool_use();
        metrics::gauge!(names::DB_POOL_CONNECTIONS, label::STATE => "open").set(open);
        metrics::gauge!(names::DB_POOL_CONNECTIONS, label::STATE => "idle").set(idle);
        result
    }
}
