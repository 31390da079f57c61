//! Plain SQL on the database of a test: to look at tables, and to do what a person might do by hand.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection, Row as _, SqliteConnection,
    sqlite::SqliteConnectOptions,
};

/// One connection, outside the gateway's own pool.
#[derive(Debug)]
pub(crate) enum Sql {
    Server(MySqlConnection),
    File(SqliteConnection),
}

/// Runs the same call on whichever connection there is.
macro_rules! on {
    ($sql:expr, $connection:ident => $call:expr) => {{
        let result = match $sql {
            Sql::Server($connection) => $call.map_err(|error| error.to_string()),
            Sql::File($connection) => $call.map_err(|error| error.to_string()),
        };
        result
    }};
}

impl Sql {
    pub(crate) async fn connect(url: &str) -> Self {
        if url.starts_with("mysql:") {
            return Self::Server(MySqlConnection::connect(url).await.expect("the server answers"));
        }
        let options: SqliteConnectOptions = url.parse().expect("a SQLite URL");
        let options = options.busy_timeout(Duration::from_secs(20)).disable_statement_logging();
        Self::File(SqliteConnection::connect_with(&options).await.expect("the file is a database"))
    }

    /// Runs a statement.
    pub(crate) async fn execute(&mut self, sql: &str) {
        let query = || sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = on!(self, connection => query().execute(connection).await.map(drop));
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first column of the only row.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let query = AssertSqlSafe(sql.to_owned());
        let number = on!(self, connection => {
            sqlx::query(query).fetch_one(connection).await.and_then(|row| row.try_get::<i64, _>(0))
        });
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The first column of the only row.
    pub(crate) async fn text(&mut self, sql: &str) -> String {
        let query = AssertSqlSafe(sql.to_owned());
        let text = on!(self, connection => {
            sqlx::query(query).fetch_one(connection).await.and_then(|row| row.try_get::<String, _>(0))
        });
        text.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Begins a transaction that nobody can write beside where it counts: the balance of `user`.
    pub(crate) async fn lock_balance(&mut self, user: i64) {
        match self {
            Self::Server(_) => {
                self.execute("BEGIN").await;
                self.number(&format!("SELECT balance FROM user_balances WHERE user_id = {user} FOR UPDATE")).await;
            }
            // SQLite has one writer.
            Self::File(_) => self.execute("BEGIN IMMEDIATE").await,
        }
    }

    pub(crate) async fn close(self) {
        let closed = match self {
            Self::Server(connection) => connection.close().await,
            Self::File(connection) => connection.close().await,
        };
        closed.expect("the connection closes");
    }
}
