//! A change of the schema: steps forward that are taken once, however often they are run, and statements back.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DbBackend, Statement},
};

use crate::compatibility;

/// One migration, for both kinds of database.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// `m`, the number with four digits, and what it is about: `m0007_lean_tables`.
    pub name: &'static str,
    /// Which older releases may work on the schema once this was made.
    pub older: Older,
    /// Forward on MySQL and MariaDB.
    pub mysql: &'static [Step],
    /// Back on MySQL and MariaDB.
    pub mysql_down: &'static [&'static str],
    /// Forward on SQLite.
    pub sqlite: &'static [Step],
    /// Back on SQLite.
    pub sqlite_down: &'static [&'static str],
}

/// Which releases, among those that do not know a change, may work on the schema once it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// Made before releases asked (`m0001` to `m0006`): nothing is written down.
    Unasked,
    /// An expansion: all that could work before.
    GoOn,
    /// A contraction: only those that know the change of this number. They are kept off from before its first step.
    From(u32),
}

/// One step of a change.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// A statement that may be run again (`IF NOT EXISTS`, `MODIFY`).
    Always(&'static str),
    /// Add a column unless it is there: table, column, statement.
    Column(&'static str, &'static str, &'static str),
    /// Add a CHECK unless it is there: constraint, statement. MySQL only; SQLite has it in CREATE TABLE.
    Check(&'static str, &'static str),
}

impl Change {
    /// The number in its name.
    pub(crate) fn number(&self) -> u32 {
        let digits = self.name.strip_prefix('m').and_then(|rest| rest.split('_').next());
        digits.and_then(|digits| digits.parse().ok()).expect("names of changes begin with m and a number")
    }
}

impl MigrationName for Change {
    fn name(&self) -> &str {
        self.name
    }
}

#[expect(elided_lifetimes_in_paths, reason = "the trait's own signatures elide SchemaManager's lifetime")]
#[async_trait::async_trait]
impl MigrationTrait for Change {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // First: a release that must not work on the result does not find it half-way either.
        compatibility::declare(manager, self).await?;
        match manager.get_database_backend() {
            DbBackend::Sqlite => take(manager, self.sqlite).await,
            _ => take(manager, self.mysql).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Sqlite => self.sqlite_down,
            _ => self.mysql_down,
        };
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        compatibility::withdraw(manager, self).await
    }
}

/// Takes those of `steps` that were not taken yet.
async fn take(manager: &SchemaManager<'_>, steps: &[Step]) -> Result<(), DbErr> {
    let db = manager.get_connection();
    for step in steps {
        let (done, statement) = match step {
            Step::Always(statement) => (false, statement),
            Step::Column(table, column, statement) => (manager.has_column(table, column).await?, statement),
            Step::Check(name, statement) => (has_check(manager, name).await?, statement),
        };
        if !done {
            db.execute_unprepared(statement).await?;
        }
    }
    Ok(())
}

async fn has_check(manager: &SchemaManager<'_>, name: &str) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM information_schema.check_constraints \
               WHERE constraint_schema = DATABASE() AND constraint_name = ?";
    let statement = Statement::from_sql_and_values(DbBackend::MySql, sql, [name.into()]);
    Ok(manager.get_connection().query_one_raw(statement).await?.is_some())
}
