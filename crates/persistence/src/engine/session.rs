//! One connection for one try of an operation: back to the pool when all went well, otherwise closed.
//!
//! sea-orm's own transactions always give their connection back, also when a commit or rollback failed or their future
//! was dropped; then the next transaction may find itself inside an older one, and never commit.

use std::{marker::PhantomData, sync::Arc};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, SqlxError, Statement,
    Values,
    prelude::async_trait,
    sqlx::{AssertSqlSafe, Database, Executor, IntoArguments, Sqlite, pool::PoolConnection, query::Query, query_with},
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::{
    dialect::Dialect,
    pool::Connections,
    warm::{Taken, Warm},
};

/// A connection of the pool: outside of a transaction, or inside one as a [`Tx`]. Dropped without [`Session::keep`] it is
/// closed, which ends whatever was open on it: a transaction, an answer that nobody waits for, a session that its server
/// has given up.
pub(crate) struct Session<State = Idle> {
    held: Held,
    dialect: Dialect,
    state: PhantomData<State>,
}

/// A connection in a transaction: what changes rows asks for one.
pub(crate) type Tx = Session<InTransaction>;

/// The state of a connection on which nothing is open.
pub(crate) struct Idle;

/// The state of a connection between its `BEGIN` and its end.
pub(crate) struct InTransaction;

struct Held {
    /// Never contended: what shares a session asks one thing after the other. `None` once it is kept.
    connection: Mutex<Option<Connection>>,
    warm: Arc<Warm>,
}

/// Keeping consumes the session.
const UNTIL_KEPT: &str = "a session has its connection until it is kept";

enum Connection {
    MySql(Taken),
    Sqlite(PoolConnection<Sqlite>),
}

impl Session {
    /// Waits for a connection of the pool.
    pub(crate) async fn take(Connections { pool, warm }: Connections) -> Result<Self, DbErr> {
        let dialect = Dialect::of(pool.get_database_backend());
        let connection = match dialect {
            Dialect::Sqlite => pool.get_sqlite_connection_pool().acquire().await.map(Connection::Sqlite),
            Dialect::MySql => warm.take(pool.get_mysql_connection_pool()).await.map(Connection::MySql),
        };
        let connection = Mutex::new(Some(connection.map_err(while_acquiring)?));
        Ok(Self { held: Held { connection, warm }, dialect, state: PhantomData })
    }

    pub(crate) async fn begin(self) -> Result<Tx, DbErr> {
        self.control("BEGIN").await
    }

    /// Gives the connection back, for others to use.
    pub(crate) fn keep(mut self) {
        match self.held.connection.get_mut().take() {
            Some(Connection::MySql(taken)) => self.held.warm.keep(taken),
            // Dropped, it is back in the pool.
            Some(Connection::Sqlite(_)) | None => {}
        }
    }
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<Session, DbErr> {
        self.control("COMMIT").await
    }

    pub(crate) async fn rollback(self) -> Result<Session, DbErr> {
        self.control("ROLLBACK").await
    }
}

impl<State> Session<State> {
    /// How the database spells what databases spell differently.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    async fn connection(&self) -> MappedMutexGuard<'_, Connection> {
        MutexGuard::map(self.held.connection.lock().await, |connection| connection.as_mut().expect(UNTIL_KEPT))
    }

    async fn control<Next>(mut self, statement: &'static str) -> Result<Session<Next>, DbErr> {
        let connection = self.held.connection.get_mut().as_mut().expect(UNTIL_KEPT);
        connection.execute_unprepared(statement.to_owned()).await.map_err(while_executing)?;
        Ok(Session { held: self.held, dialect: self.dialect, state: PhantomData })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its place in the pool is free once it is closed, or after five seconds.
        match self.connection.get_mut() {
            Some(Connection::MySql(taken)) => taken.connection.close_on_drop(),
            Some(Connection::Sqlite(connection)) => connection.close_on_drop(),
            None => {}
        }
    }
}

impl Connection {
    async fn execute(&mut self, statement: Statement) -> Result<ExecResult, SqlxError> {
        match self {
            Self::MySql(Taken { connection, .. }) => query(statement).execute(&mut **connection).await.map(Into::into),
            Self::Sqlite(connection) => query(statement).execute(&mut **connection).await.map(Into::into),
        }
    }

    async fn execute_unprepared(&mut self, sql: String) -> Result<ExecResult, SqlxError> {
        let sql = AssertSqlSafe(sql);
        match self {
            Self::MySql(Taken { connection, .. }) => connection.execute(sql).await.map(Into::into),
            Self::Sqlite(connection) => connection.execute(sql).await.map(Into::into),
        }
    }

    async fn fetch_one(&mut self, statement: Statement) -> Result<QueryResult, SqlxError> {
        match self {
            Self::MySql(Taken { connection, .. }) => {
                query(statement).fetch_one(&mut **connection).await.map(Into::into)
            }
            Self::Sqlite(connection) => query(statement).fetch_one(&mut **connection).await.map(Into::into),
        }
    }

    async fn fetch_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, SqlxError> {
        match self {
            Self::MySql(Taken { connection, .. }) => {
                let rows = query(statement).fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(Into::into).collect())
            }
            Self::Sqlite(connection) => {
                let rows = query(statement).fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(Into::into).collect())
            }
        }
    }
}

#[async_trait::async_trait]
impl<State: Send + Sync> ConnectionTrait for Session<State> {
    fn get_database_backend(&self) -> DbBackend {
        match self.dialect {
            Dialect::MySql => DbBackend::MySql,
            Dialect::Sqlite => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.connection().await.execute(statement).await.map_err(while_executing)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.connection().await.execute_unprepared(sql.to_owned()).await.map_err(while_executing)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self.connection().await.fetch_one(statement).await {
            Ok(row) => Ok(Some(row)),
            Err(SqlxError::RowNotFound) => Ok(None),
            Err(error) => Err(while_querying(error)),
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.connection().await.fetch_all(statement).await.map_err(while_querying)
    }
}

/// The statement with its values bound, prepared once for each connection.
fn query<DB>(statement: Statement) -> Query<'static, DB, SqlxValues>
where
    DB: Database,
    SqlxValues: IntoArguments<DB>,
{
    #[cfg(test)]
    crate::plans::note(&statement);
    let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
    query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

fn while_acquiring(error: SqlxError) -> DbErr {
    match error {
        SqlxError::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        SqlxError::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    }
}

fn while_executing(error: SqlxError) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

fn while_querying(error: SqlxError) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}
