//! Plain SQL on the database of a test: to look at tables, to move times, and to keep everybody from writing.

use std::ops::Deref;

use sqlx::{Row as _, sqlite::SqliteRow};
use test_support::SqliteFile;

/// The tables, outside of the relay's own connection.
#[derive(Debug)]
pub(crate) struct Sql(SqliteFile);

impl Deref for Sql {
    type Target = SqliteFile;

    fn deref(&self) -> &SqliteFile {
        &self.0
    }
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
        Self(SqliteFile::connect(url).await)
    }

    /// The event of a message.
    pub(crate) async fn event(&self, message: &str) -> Event {
        let sql = format!(
            "SELECT status, attempts, last_error, claimed_by,
                CAST(round((julianday(next_run_at) - julianday(updated_at)) * 86400000.0) AS INTEGER) AS delay_millis
             FROM outbox_events WHERE aggregate_id = '{message}'"
        );
        self.row(&sql, Event::read).await
    }

    /// How many events are in a state.
    pub(crate) async fn events(&self, status: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM outbox_events WHERE status = '{status}'")).await
    }

    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}
