//! Plain SQL on a SQLite file, beside those that are tested on it.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use tokio::sync::Mutex;

/// One connection of its own: to look at tables, to move times, and to keep everybody else from writing. Every call panics where the
/// database refuses.
#[derive(Debug)]
pub struct SqliteFile {
    connection: Mutex<SqliteConnection>,
}

impl SqliteFile {
    /// Connects to the file that a URL such as `sqlite://path` names.
    ///
    /// # Panics
    ///
    /// When it is no database.
    pub async fn connect(url: &str) -> Self {
        let options: SqliteConnectOptions = url.parse().expect("a SQLite URL");
        let options = options.busy_timeout(Duration::from_secs(20)).disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options).await.expect("the file is a database");
        Self { connection: Mutex::new(connection) }
    }

    /// Runs statements.
    pub async fn execute(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *self.connection.lock().await).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// What `read` makes of each row.
    pub async fn rows<T>(&self, sql: &str, read: impl Fn(&SqliteRow) -> sqlx::Result<T>) -> Vec<T> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut *self.connection.lock().await).await;
        let read = rows.and_then(|rows| rows.iter().map(read).collect());
        read.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// What `read` makes of the only row.
    pub async fn row<T>(&self, sql: &str, read: impl Fn(&SqliteRow) -> sqlx::Result<T>) -> T {
        let mut rows = self.rows(sql, read).await;
        assert_eq!(rows.len(), 1, "one row of {sql}");
        rows.remove(0)
    }

    /// The first column of the only row.
    pub async fn number(&self, sql: &str) -> i64 {
        self.row(sql, |row| row.try_get(0)).await
    }

    /// Keeps everybody else from writing until [`unlock`](Self::unlock): SQLite has one writer. Reading goes on.
    pub async fn lock(&self) {
        self.execute("BEGIN IMMEDIATE").await;
    }

    /// Lets others write again, with what was written here meanwhile.
    pub async fn unlock(&self) {
        self.execute("COMMIT").await;
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.connection.into_inner().close().await.expect("the connection closes");
    }
}
