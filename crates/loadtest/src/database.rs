//! What a benchmark asks the database.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use chrono::NaiveDateTime;
use domain::MessageType;
use sqlx::{Connection as _, MySqlConnection};

use crate::{
    ServerCounters,
    tally::{Latency, histogram, percentiles},
};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// Settings that decide how much of a commit survives a crash, and how fast it is.
const DURABILITY: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', \
     'innodb_doublewrite', 'innodb_flush_method', 'innodb_buffer_pool_size', 'log_bin', 'sync_binlog', 'innodb_use_native_aio', \
     'innodb_redo_log_capacity', 'innodb_log_file_size')";

/// From acceptance to the recorded outcome, by type.
pub type DoneLatencies = BTreeMap<&'static str, Latency>;

/// What is stored, to be compared with what was asked for. It reads only what all releases have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// A message's identifier and a state, for each recipient of each message.
    pub recipients: Vec<(String, String)>,
    /// Rows of the ledger, by type.
    pub ledger: BTreeMap<String, u64>,
    /// Outbox events, by state.
    pub events: BTreeMap<String, u64>,
    /// All balances together.
    pub credits: i64,
}

/// A connection to the platform's tables.
#[derive(Debug)]
pub struct Tables {
    connection: MySqlConnection,
    /// Statements asked over this connection and those beside it.
    asked: Arc<AtomicU64>,
}

impl Tables {
    /// Opens a connection to `mysql://user:password@host:port/name`.
    ///
    /// # Errors
    /// When there is no answer within 5 s, or the server refuses.
    pub async fn connect(database_url: &str) -> anyhow::Result<Self> {
        Self::open(database_url, Arc::default()).await
    }

    /// Opens one more connection, whose statements are the benchmark's own too.
    ///
    /// # Errors
    /// As of [`Tables::connect`].
    pub async fn connect_beside(&self, database_url: &str) -> anyhow::Result<Self> {
        Self::open(database_url, Arc::clone(&self.asked)).await
    }

    async fn open(database_url: &str, asked: Arc<AtomicU64>) -> anyhow::Result<Self> {
        let connecting = MySqlConnection::connect(database_url);
        let connection = tokio::time::timeout(CONNECT, connecting).await.context("no answer from the database")?;
        let mut connection = connection.context("connecting to the database")?;
        // Counts look at what is there now, and lock and remember nothing.
        sqlx::query("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED").execute(&mut connection).await?;
        Ok(Self { connection, asked })
    }

    /// The connection, for one statement.
    fn ask(&mut self) -> &mut MySqlConnection {
        self.asked.fetch_add(1, Ordering::Relaxed);
        &mut self.connection
    }

    /// What the server has done for others so far.
    pub async fn counters(&mut self) -> anyhow::Result<ServerCounters> {
        let rows: Vec<(String, String)> = sqlx::query_as(ServerCounters::QUERY).fetch_all(self.ask()).await?;
        let asked = self.asked.load(Ordering::Relaxed);
        // An account may lack the right to look there.
        let syncs: Option<i64> =
            sqlx::query_scalar(ServerCounters::BINLOG_QUERY).fetch_one(self.ask()).await.unwrap_or_default();
        Ok(ServerCounters::of(&rows.into_iter().collect(), asked, syncs.map(i64::unsigned_abs)))
    }

    /// The server's settings that decide about durability.
    pub async fn durability(&mut self) -> anyhow::Result<BTreeMap<String, String>> {
        let rows: Vec<(String, String)> = sqlx::query_as(DURABILITY).fetch_all(self.ask()).await?;
        Ok(rows.into_iter().collect())
    }

    /// The database's clock, UTC.
    pub async fn now(&mut self) -> anyhow::Result<NaiveDateTime> {
        Ok(sqlx::query_scalar("SELECT UTC_TIMESTAMP(6)").fetch_one(self.ask()).await?)
    }

    /// Accepted messages, counted by recipient, that have no outcome yet. Costs what they are many.
    pub async fn unfinished(&mut self) -> anyhow::Result<u64> {
        let query = "SELECT COUNT(*) FROM message_status WHERE status IN ('pending', 'sending')";
        let count: i64 = sqlx::query_scalar(query).fetch_one(self.ask()).await?;
        Ok(count.unsigned_abs())
    }

    /// Recipients whose message was recorded as delivered in this time.
    pub async fn delivered(&mut self, from: NaiveDateTime, until: NaiveDateTime) -> anyhow::Result<u64> {
        let query = "SELECT COUNT(*) FROM message_status WHERE status = 'done' AND updated_at >= ? AND updated_at < ?";
        let count: i64 = sqlx::query_scalar(query).bind(from).bind(until).fetch_one(self.ask()).await?;
        Ok(count.unsigned_abs())
    }

    /// Time from the row of each message accepted in this time to its recorded delivery, exactly. It contains the way
    /// to the operator, the operator's answer and the wait for the record.
    pub async fn accept_to_done(&mut self, from: NaiveDateTime, until: NaiveDateTime) -> anyhow::Result<DoneLatencies> {
        let query = "SELECT TIMESTAMPDIFF(MICROSECOND, created_at, updated_at) FROM message_status \
             WHERE type = ? AND status = 'done' AND created_at >= ? AND created_at < ?";
        let mut latencies = DoneLatencies::new();
        for kind in MessageType::ALL {
            let waits: Vec<i64> =
                sqlx::query_scalar(query).bind(kind.as_str()).bind(from).bind(until).fetch_all(self.ask()).await?;
            if !waits.is_empty() {
                let mut all = histogram();
                for wait in waits {
                    all.saturating_record(u64::try_from(wait).unwrap_or(0));
                }
                latencies.insert(kind.as_str(), percentiles(&all));
            }
        }
        Ok(latencies)
    }

    /// Users whose balance is not the sum of their ledger; must be 0.
    pub async fn ledger_mismatches(&mut self) -> anyhow::Result<u64> {
        let query = "SELECT COUNT(*) FROM user_balances b LEFT JOIN \
             (SELECT user_id, CAST(SUM(amount) AS SIGNED) AS total FROM user_transactions GROUP BY user_id) l \
             ON l.user_id = b.user_id WHERE b.balance <> COALESCE(l.total, 0)";
        let count: i64 = sqlx::query_scalar(query).fetch_one(self.ask()).await?;
        Ok(count.unsigned_abs())
    }

    /// Everything that is there now; costs what it is much.
    pub async fn stored(&mut self) -> anyhow::Result<Stored> {
        let recipients = "SELECT message_identifier, status FROM message_status ORDER BY id";
        let credits = "SELECT CAST(COALESCE(SUM(balance), 0) AS SIGNED) FROM user_balances";
        Ok(Stored {
            recipients: sqlx::query_as(recipients).fetch_all(&mut self.connection).await?,
            ledger: self.counts("SELECT transaction_type, COUNT(*) FROM user_transactions GROUP BY 1").await?,
            events: self.counts("SELECT status, COUNT(*) FROM outbox_events GROUP BY 1").await?,
            credits: sqlx::query_scalar(credits).fetch_one(&mut self.connection).await?,
        })
    }

    async fn counts(&mut self, query: &'static str) -> anyhow::Result<BTreeMap<String, u64>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().map(|(name, count)| (name, count.unsigned_abs())).collect())
    }
}
