//! The schema: one file a change, forward and back, for MySQL 8+/9, MariaDB 10.6+ and SQLite.
//!
//! [`up`] is safe when several processes start at once: one of them migrates under a lock, the others wait.
//! MySQL cannot roll back DDL, so every step first asks whether it was already taken; a migration that was
//! cut off half-way is finished by the next start.

mod address;
mod change;
mod m0001_reference_tables;
mod m0002_leases_and_refunds;
mod m0003_idempotency_keys;
mod m0004_turns;
mod m0005_ledger_sum_index;

use std::time::Duration;

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend, Statement},
};

pub use address::{ACCEPTED_URLS, Address, AddressError};

/// How long a process waits for a server to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a process waits for another one that is migrating, in seconds.
const LOCK_WAIT_SECONDS: u32 = 120;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_reference_tables::CHANGE),
            Box::new(m0002_leases_and_refunds::CHANGE),
            Box::new(m0003_idempotency_keys::CHANGE),
            Box::new(m0004_turns::CHANGE),
            Box::new(m0005_ledger_sum_index::CHANGE),
        ]
    }
}

/// Brings the database at `url` to the newest schema.
pub async fn up(url: &str) -> Result<(), DbErr> {
    let db = connect(url).await?;
    let result = under_lock(&db, Migrator::up(&db, None)).await;
    close(db, result).await
}

/// Takes back the newest `count` migrations, or all of them.
pub async fn down(url: &str, count: Option<u32>) -> Result<(), DbErr> {
    let db = connect(url).await?;
    let result = under_lock(&db, Migrator::down(&db, count)).await;
    close(db, result).await
}

/// Names of the migrations and whether each was applied, oldest first.
pub async fn status(url: &str) -> Result<Vec<(String, bool)>, DbErr> {
    let db = connect(url).await?;
    let pending = Migrator::get_pending_migrations(&db).await?;
    let is_pending = |name: &str| pending.iter().any(|migration| migration.name() == name);
    let all = Migrator::migrations();
    let states = all.iter().map(|migration| (migration.name().to_owned(), !is_pending(migration.name()))).collect();
    close(db, Ok(states)).await
}

/// One connection only: MySQL's named lock belongs to the connection that took it.
async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let address = Address::parse(url).map_err(|error| DbErr::Custom(error.to_string()))?;
    address.reach(CONNECT_TIMEOUT).await?;
    let mut options = ConnectOptions::new(address.url());
    options.max_connections(1).sqlx_logging(false).acquire_timeout(CONNECT_TIMEOUT);
    // The lock must outlive the longest ALTER, and its connection with it.
    options.max_lifetime(None).idle_timeout(None);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true).busy_timeout(Duration::from_secs(30)));
    options.map_sqlx_mysql_opts(move |mysql| address.adjust(mysql));
    Database::connect(options).await
}

async fn close<T>(db: DatabaseConnection, result: Result<T, DbErr>) -> Result<T, DbErr> {
    db.close().await?;
    result
}

async fn under_lock(db: &DatabaseConnection, work: impl Future<Output = Result<(), DbErr>>) -> Result<(), DbErr> {
    if db.get_database_backend() != DbBackend::MySql {
        // SQLite's write lock, taken before anything is looked at; its DDL rolls back.
        db.execute_unprepared("BEGIN IMMEDIATE").await?;
        let result = work.await;
        db.execute_unprepared(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        return result;
    }
    // The name is per database, for servers are shared and schemas are not; it may have 64 characters.
    let lock = "CONCAT('messaging_platform.migrations.', LEFT(SHA2(DATABASE(), 256), 32))";
    let take = format!("SELECT GET_LOCK({lock}, {LOCK_WAIT_SECONDS}) AS taken");
    let row = db.query_one_raw(Statement::from_string(DbBackend::MySql, take)).await?;
    let taken: Option<i64> = row.map(|row| row.try_get("", "taken")).transpose()?.flatten();
    if taken != Some(1) {
        return Err(DbErr::Migration(format!(
            "another process has been migrating for over {LOCK_WAIT_SECONDS} s; look at it, then start again"
        )));
    }
    let result = work.await;
    db.execute_unprepared(&format!("DO RELEASE_LOCK({lock})")).await?;
    result
}
