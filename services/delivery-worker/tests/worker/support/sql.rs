//! Plain SQL on the database of a test: to look at tables, to move times, and to keep everybody from writing.

use std::ops::Deref;

use sqlx::Row as _;
use test_support::SqliteFile;

/// The tables, outside of the worker's own connection.
#[derive(Debug)]
pub(crate) struct Sql(SqliteFile);

impl Deref for Sql {
    type Target = SqliteFile;

    fn deref(&self) -> &SqliteFile {
        &self.0
    }
}

impl Sql {
    pub(crate) async fn connect(url: &str) -> Self {
        Self(SqliteFile::connect(url).await)
    }

    /// A message's recipients in their order, each as `status`, `status provider` or `status under owner`.
    pub(crate) async fn rows(&self, message: &str) -> Vec<String> {
        let sql = format!(
            "SELECT status || CASE provider WHEN '' THEN '' ELSE ' ' || provider END || COALESCE(' under ' || claimed_by, '')
             FROM message_status WHERE message_identifier = '{message}' ORDER BY id"
        );
        self.0.rows(&sql, |row| row.try_get(0)).await
    }

    /// A message's event: its state, and by how many milliseconds its last change put it off, if it did.
    pub(crate) async fn event(&self, message: &str) -> (String, Option<i64>) {
        let sql = format!(
            "SELECT status, CAST(round((julianday(next_run_at) - julianday(updated_at)) * 86400000.0) AS INTEGER)
             FROM outbox_events WHERE aggregate_id = '{message}'"
        );
        self.row(&sql, |row| Ok((row.try_get(0)?, row.try_get(1)?))).await
    }

    /// Changes a message's recipients by hand.
    pub(crate) async fn change(&self, message: &str, change: &str) {
        self.execute(&format!("UPDATE message_status SET {change} WHERE message_identifier = '{message}'")).await;
    }

    /// Makes a message so old.
    pub(crate) async fn age(&self, message: &str, seconds: u32) {
        let then = from_now(-i64::from(seconds) * 1_000);
        self.change(message, &format!("created_at = {then}")).await;
        self.execute(&format!("UPDATE outbox_events SET created_at = {then} WHERE aggregate_id = '{message}'")).await;
    }

    /// Gives a message to another worker, whose lease ends in so many milliseconds.
    pub(crate) async fn take_for_another(&self, message: &str, millis: i64) {
        let until = from_now(millis);
        self.change(message, &format!("status = 'sending', claimed_by = 'another', claimed_until = {until}")).await;
    }

    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}

/// A time on the database's clock.
fn from_now(millis: i64) -> String {
    let (sign, whole, rest) = (if millis < 0 { '-' } else { '+' }, millis.abs() / 1_000, millis.abs() % 1_000);
    format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '{sign}{whole}.{rest:03} seconds')")
}
