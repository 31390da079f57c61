//! Plain SQL on the database of a test: to look at tables, to move times, and to keep everybody from writing.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use tokio::sync::Mutex;

/// One connection, outside of the relay's own.
#[derive(Debug)]
pub(crate) struct Sql {
    connection: Mutex<SqliteConnection>,
}

/// An event as it stands in the outbox.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) status: String,
    pub(crate) attempts: i64,
    pub(crate) last_error: Option<String>,
    pub(crate) claimed_by: Option<String>,
    /// What its last change put it off by, in whole milliseconds; `None` where it waits for nothing.
    pub(crate) delay_millis: Option<i64>,
}

impl Event {
    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            status: row.try_get("status")?,
            attempts: row.try_get("attempts")?,
            last_error: row.try_get("last_error")?,
            claimed_by: row.try_get("claimed_by")?,
            delay_millis: row.try_get("delay_millis")?,
        })
    }

    /// Waits to be claimed, as if nobody had touched it.
    pub(crate) fn is_untouched(&self) -> bool {
        let Self { status, attempts, last_error, claimed_by, delay_millis } = self;
        (status.as_str(), *attempts) == ("pending", 0)
            && (last_error, claimed_by, delay_millis) == (&None, &None, &None)
    }
}

impl Sql {
    pub(crate) async fn connect(url: &str) -> Self {
        let options: SqliteConnectOptions = url.parse().expect("a SQLite URL");
        let options = options.busy_timeout(Duration::from_secs(20)).disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options).await.expect("the file is a database");
        Self { connection: Mutex::new(connection) }
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *self.connection.lock().await).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first column of the only row.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut *self.connection.lock().await).await;
        let number = row.and_then(|row| row.try_get(0));
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The event of a message.
    pub(crate) async fn event(&self, message: &str) -> Event {
        const EVENT: &str = "SELECT status, attempts, last_error, claimed_by,
                CAST(round((julianday(next_run_at) - julianday(updated_at)) * 86400000.0) AS INTEGER) AS delay_millis
            FROM outbox_events WHERE aggregate_id = ?";
        let row = sqlx::query(EVENT).bind(message).fetch_one(&mut *self.connection.lock().await).await;
        let event = row.and_then(|row| Event::read(&row));
        event.unwrap_or_else(|error| panic!("the event of {message}: {error}"))
    }

    /// How many events are in a state.
    pub(crate) async fn events(&self, status: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM outbox_events WHERE status = '{status}'")).await
    }

    /// Keeps everybody else from writing until [`unlock`](Self::unlock): SQLite has one writer. Reading goes on.
    pub(crate) async fn lock(&self) {
        self.execute("BEGIN IMMEDIATE").await;
    }

    /// Lets others write again, with what was written here meanwhile.
    pub(crate) async fn unlock(&self) {
        self.execute("COMMIT").await;
    }

    pub(crate) async fn close(self) {
        self.connection.into_inner().close().await.expect("the connection closes");
    }
}
