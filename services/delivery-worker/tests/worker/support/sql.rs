//! Plain SQL on the database of a test: to look at tables, to move times, and to keep everybody from writing.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions,
};
use tokio::sync::Mutex;

/// One connection, outside of the worker's own.
#[derive(Debug)]
pub(crate) struct Sql {
    connection: Mutex<SqliteConnection>,
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

    /// The first column of all rows.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut *self.connection.lock().await).await;
        let texts = rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect());
        texts.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A message's recipients in their order, each as `status`, `status provider` or `status under owner`.
    pub(crate) async fn rows(&self, message: &str) -> Vec<String> {
        self.texts(&format!(
            "SELECT status || CASE provider WHEN '' THEN '' ELSE ' ' || provider END || COALESCE(' under ' || claimed_by, '')
             FROM message_status WHERE message_identifier = '{message}' ORDER BY id"
        ))
        .await
    }

    /// A message's event: its state, and by how many milliseconds its last change put it off, if it did.
    pub(crate) async fn event(&self, message: &str) -> (String, Option<i64>) {
        const EVENT: &str = "SELECT status,
                CAST(round((julianday(next_run_at) - julianday(updated_at)) * 86400000.0) AS INTEGER)
            FROM outbox_events WHERE aggregate_id = ?";
        let row = sqlx::query(EVENT).bind(message).fetch_one(&mut *self.connection.lock().await).await;
        let event = row.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        event.unwrap_or_else(|error| panic!("the event of {message}: {error}"))
    }

    /// Changes a message's recipients by hand.
    pub(crate) async fn change(&self, message: &str, change: &str) {
        self.execute(&format!("UPDATE message_status SET {change} WHERE message_identifier = '{message}'")).await;
    }

    /// Makes a message so old.
    pub(crate) async fn age(&self, message: &str, seconds: u32) {
        self.change(message, &format!("created_at = {}", from_now(-i64::from(seconds) * 1_000))).await;
    }

    /// Gives a message to another worker, whose lease ends in so many milliseconds.
    pub(crate) async fn take_for_another(&self, message: &str, millis: i64) {
        let until = from_now(millis);
        self.change(message, &format!("status = 'sending', claimed_by = 'another', claimed_until = {until}")).await;
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

/// A time on the database's clock.
fn from_now(millis: i64) -> String {
    let (sign, whole, rest) = (if millis < 0 { '-' } else { '+' }, millis.abs() / 1_000, millis.abs() % 1_000);
    format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '{sign}{whole}.{rest:03} seconds')")
}
