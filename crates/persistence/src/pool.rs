//! The connections: how they are set up, and when they are given up.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use migrations::Address;
use sea_orm::{
    ConnectOptions, DatabaseConnection, SqlxError,
    sqlx::{AssertSqlSafe, Connection as _, Executor as _},
};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use crate::{DatabaseConfig, Error, retry::to_error};

/// How long a connection may take to show that it still works when it comes back to the pool after an operation was cut off.
const RETURN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the server keeps a connection, with its locks, that says nothing: a client that vanished in the middle of
/// a transaction holds up others no longer than this.
const SERVER_WAIT_SECONDS: u64 = 60;
/// Statements kept prepared for each connection: more than a service has (see `shape`), so that none is ever closed.
/// The server allows 16,382 in all (`max_prepared_stmt_count`).
const PREPARED_STATEMENTS: usize = 256;
/// Operations in a row that must run out of time before the connections are given up.
const SILENT_OPERATIONS: u32 = 16;
/// How long after a cut-off operation every connection that comes back is looked at: much longer than its own takes.
const SUSPECT_FOR: Duration = Duration::from_secs(10);
/// The least time between two such decisions.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// The connections in use now.
pub(crate) struct Pool {
    current: RwLock<DatabaseConnection>,
    silence: Mutex<Silence>,
    cut_off: CutOff,
}

/// When an operation was last dropped before its end, which leaves its connection in the middle of an answer.
#[derive(Debug, Clone, Default)]
struct CutOff {
    last: Arc<Mutex<Option<Instant>>>,
}

impl CutOff {
    fn note(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_recent(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < SUSPECT_FOR)
    }
}

/// An operation that has begun. Dropped before [`InProgress::ended`], it was cut off.
pub(crate) struct InProgress<'a> {
    cut_off: Option<&'a CutOff>,
}

impl InProgress<'_> {
    pub(crate) fn ended(mut self) {
        self.cut_off = None;
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        if let Some(cut_off) = self.cut_off {
            cut_off.note();
        }
    }
}

/// What is known of a database that does not answer.
struct Silence {
    operations: u32,
    renewed: Instant,
}

impl Pool {
    pub(crate) async fn open(config: &DatabaseConfig) -> Result<Self, Error> {
        let silence = Silence { operations: 0, renewed: Instant::now() };
        let cut_off = CutOff::default();
        let current = RwLock::new(connect(config, &cut_off).await?);
        Ok(Self { current, silence: Mutex::new(silence), cut_off })
    }

    /// To be dropped before the operation is, should that be cut off: its connection comes back right after.
    pub(crate) fn begin(&self) -> InProgress<'_> {
        InProgress { cut_off: Some(&self.cut_off) }
    }

    pub(crate) fn current(&self) -> DatabaseConnection {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of whether an operation ended in time.
    ///
    /// A TLS connection whose peer vanished without a word cannot even be closed before the kernel gives it up, a quarter
    /// of an hour later, and keeps its place in the pool so long. When nothing is seen but silence, a new pool takes the
    /// old one's place.
    pub(crate) async fn note(&self, ended: bool, config: &DatabaseConfig) {
        if !self.is_silent(ended) || is_sqlite(config) {
            return;
        }
        if let Ok(renewed) = connect(config, &self.cut_off).await {
            tracing::warn!("the database did not answer for a while; its connections are given up");
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        }
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
            *silence = Silence { operations: 0, renewed: Instant::now() };
        }
        is_silent
    }
}

/// Prepares connections without making one.
async fn connect(config: &DatabaseConfig, cut_off: &CutOff) -> Result<DatabaseConnection, Error> {
    let options = connect_options(config, cut_off)?;
    sea_orm::Database::connect(options).await.map_err(|error| to_error("opening the database", error.into()))
}

fn is_sqlite(config: &DatabaseConfig) -> bool {
    config.url.expose_secret().starts_with("sqlite:")
}

fn connect_options(config: &DatabaseConfig, cut_off: &CutOff) -> Result<ConnectOptions, Error> {
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
    } else {
        configure_mysql(&mut options, address, config, cut_off);
    }
    Ok(options)
}

fn configure_mysql(options: &mut ConnectOptions, address: Address, config: &DatabaseConfig, cut_off: &CutOff) {
    options.max_connections(config.max_connections).idle_timeout(Duration::from_secs(SERVER_WAIT_SECONDS / 2));
    options.map_sqlx_mysql_opts(move |mysql| address.adjust(mysql).statement_cache_capacity(PREPARED_STATEMENTS));
    // READ COMMITTED: claims and batches lock the rows they name, never the gaps between them. A statement of ours
    // that we no longer wait for stops waiting for its lock as well.
    let lock_wait = config.operation_timeout.as_secs().max(1);
    let limits = format!("SET SESSION wait_timeout = {SERVER_WAIT_SECONDS}, innodb_lock_wait_timeout = {lock_wait}");
    let cut_off = cut_off.clone();
    options.map_sqlx_mysql_pool_opts(move |pool| {
        let (limits, cut_off) = (limits.clone(), cut_off.clone());
        pool.after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move {
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                connection.execute(AssertSqlSafe(limits)).await.map(|_| ())
            })
        })
        // An operation that was cut off leaves its connection in the middle of an answer, perhaps for ever. One that does
        // not come to itself soon is thrown away; otherwise it would keep its place in the pool, for the ping that sqlx
        // sends by itself has no time limit.
        .after_release(move |connection, _| {
            let is_suspect = cut_off.is_recent();
            Box::pin(async move {
                if !is_suspect {
                    return Ok(true);
                }
                let answer = tokio::time::timeout(RETURN_TIMEOUT, connection.ping()).await;
                answer.map_err(|_| SqlxError::Io(io::ErrorKind::TimedOut.into()))?.map(|()| true)
            })
        })
    });
}
