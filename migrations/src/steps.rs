//! How a change is made: steps forward are taken once, however often they are run.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DbBackend, Statement},
};

use crate::{
    change::{Change, Step},
    compatibility, lean,
};

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
        match step {
            Step::Column(table, column, _) if manager.has_column(table, column).await? => {}
            Step::Check(name, _) if has_check(manager, name).await? => {}
            Step::Repeatable(statement) | Step::Column(.., statement) | Step::Check(_, statement) => {
                db.execute_unprepared(statement).await?;
            }
            Step::Batches(statement) => while db.execute_unprepared(statement).await?.rows_affected() > 0 {},
            Step::Lean(lean) => lean::make(db, lean).await?,
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
