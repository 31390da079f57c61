//! Whether the database can be worked on now, in one word.

use sea_orm::{ConnectionTrait, Statement};

use super::{
    Database, Query, StepError,
    cause::{Cause, cause_of},
    database::Schema,
    dialect::Dialect,
    transaction::reading,
};

/// What a process can expect of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It answers and takes writes.
    Ok,
    /// It answers and refuses writes, as a server does that is no longer the primary.
    ReadOnly,
    /// It lacks changes that this release needs.
    SchemaMissing,
    /// A newer release changed it in a way that this one does not run on.
    SchemaTooNew,
    /// It cannot be reached, or does not answer.
    Unavailable,
}

/// As text, since MariaDB has more than two values for it.
const IS_READ_ONLY: &str = "SELECT CONCAT(@@GLOBAL.read_only, ' ', @@GLOBAL.innodb_read_only) AS flags";

/// Changes nothing, and is refused where a change would be. Only sent when the server says that it is read-only, which does not
/// bind every account: elsewhere it could wait for somebody's lock on the table.
const WRITES_NOTHING: &str = "UPDATE user_balances SET balance = balance WHERE 1 = 0";

impl Readiness {
    /// As `/readyz` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ReadOnly => "read_only",
            Self::SchemaMissing => "schema_missing",
            Self::SchemaTooNew => "schema_too_new",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Database {
    /// Asks the database. Cancel safe.
    pub async fn readiness(&self) -> Readiness {
        let schema = *self.schema().borrow();
        match schema {
            Schema::Fits => {}
            Schema::Missing => return Readiness::SchemaMissing,
            Schema::TooNew => return Readiness::SchemaTooNew,
            Schema::Unknown => return Readiness::Unavailable,
        }
        let answer = reading!(self, Query::Ping, |db| async {
            match db.dialect() {
                Dialect::MySql => try_to_write(db).await,
                Dialect::Sqlite => Ok(db.execute_unprepared("SELECT 1").await.map(|_| Readiness::Ok)?),
            }
        });
        answer.await.unwrap_or(Readiness::Unavailable)
    }
}

/// A refusal is an answer here: nothing is tried again, and the connection stays.
async fn try_to_write(db: &impl ConnectionTrait) -> Result<Readiness, StepError> {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), IS_READ_ONLY)).await?;
    let flags: Option<String> = row.map(|row| row.try_get("", "flags")).transpose()?.flatten();
    let is_off = |flag: &str| ["0", "OFF"].contains(&flag);
    if flags.is_none_or(|flags| flags.split(' ').all(is_off)) {
        return Ok(Readiness::Ok);
    }
    match db.execute_unprepared(WRITES_NOTHING).await {
        Ok(_) => Ok(Readiness::Ok),
        Err(error) if cause_of(&error) == Cause::ReadOnly => Ok(Readiness::ReadOnly),
        Err(error) => Err(error.into()),
    }
}
