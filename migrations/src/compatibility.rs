//! Whether a release may work on the schema it finds: what it needs was made, and nothing was made that it must keep off.
//!
//! A release meets changes that it does not know after it was rolled back, or while a newer one is rolled out. Only they can tell
//! it, so each writes into `schema_compatibility` the number of the oldest release that may work on it; the number of a release is
//! that of its newest change. The row is there from before the change's first step until after its last step back.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DbBackend, Statement},
};

use crate::change::{Change, Older};

const RECORDS: &str = "seaql_migrations";
const DECLARATIONS: &str = "schema_compatibility";

/// How the schema fits a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// What the release needs is there; changes that it does not know leave it working.
    Fits,
    /// These of its changes were not made.
    Missing(Vec<String>),
    /// These changes of a newer release forbid it, or do not say that it may work on them.
    TooNew(Vec<String>),
}

/// What the database knows of changes.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The changes that were made.
    pub(crate) applied: BTreeSet<String>,
    /// For changes made or begun, the number of the oldest release that may work on them.
    declared: BTreeMap<String, u32>,
}

impl Found {
    /// Reads and changes nothing, so that an account without rights on the schema can ask too.
    pub(crate) async fn read(db: &impl ConnectionTrait) -> Result<Self, DbErr> {
        let mut found = Self::default();
        if has_table(db, RECORDS).await? {
            for row in db.query_all_raw(statement(db, "SELECT version FROM seaql_migrations")).await? {
                found.applied.insert(row.try_get("", "version")?);
            }
        }
        if has_table(db, DECLARATIONS).await? {
            let query = "SELECT migration, oldest_binary FROM schema_compatibility";
            for row in db.query_all_raw(statement(db, query)).await? {
                let oldest: i32 = row.try_get("", "oldest_binary")?;
                // A number that makes no sense allows nothing.
                found.declared.insert(row.try_get("", "migration")?, oldest.try_into().unwrap_or(u32::MAX));
            }
        }
        Ok(found)
    }

    /// Changes among `known` that were begun and not made, nor taken back to the end.
    pub(crate) fn unfinished<'a>(&'a self, known: &'a [Change]) -> impl Iterator<Item = &'a String> {
        self.declared.keys().filter(|name| is_among(known, name) && !self.applied.contains(*name))
    }

    /// Changes made that are not among `known`.
    pub(crate) fn unknown<'a>(&'a self, known: &'a [Change]) -> impl Iterator<Item = &'a String> {
        self.applied.iter().filter(|name| !is_among(known, name))
    }

    /// Whether a release that does not know the change `name` may work on it.
    pub(crate) fn allows(&self, name: &str, release: u32) -> bool {
        self.declared.get(name).is_some_and(|oldest| *oldest <= release)
    }

    pub(crate) fn fit(&self, known: &[Change]) -> Fit {
        let release = number(known);
        // One that is only begun forbids as well.
        let begun = self.declared.keys().filter(|name| !is_among(known, name));
        let unknown: BTreeSet<&String> = self.unknown(known).chain(begun).collect();
        let forbidding: Vec<String> = unknown.into_iter().filter(|name| !self.allows(name, release)).cloned().collect();
        if !forbidding.is_empty() {
            return Fit::TooNew(forbidding);
        }
        let missing = known.iter().map(|change| change.name).filter(|name| !self.applied.contains(*name));
        let missing: Vec<String> = missing.map(ToOwned::to_owned).collect();
        if missing.is_empty() { Fit::Fits } else { Fit::Missing(missing) }
    }
}

/// The number of the release that knows these changes.
pub(crate) fn number(known: &[Change]) -> u32 {
    known.iter().map(Change::number).max().unwrap_or(0)
}

fn is_among(known: &[Change], name: &str) -> bool {
    known.iter().any(|change| change.name == name)
}

/// Writes down who may work on the schema from now on.
pub(crate) async fn declare(manager: &SchemaManager<'_>, change: &Change) -> Result<(), DbErr> {
    let oldest = match change.older {
        Older::Unasked => return Ok(()),
        Older::GoOn => 0,
        Older::From(number) => number,
    };
    let sql = "REPLACE INTO schema_compatibility (migration, oldest_binary) VALUES (?, ?)";
    let values = [change.name.into(), oldest.into()];
    let statement = Statement::from_sql_and_values(manager.get_database_backend(), sql, values);
    manager.get_connection().execute_raw(statement).await.map(drop)
}

/// Takes the row back, and on MySQL the record that the change was made with it: one without the other would keep older
/// releases off for nothing. SQLite takes all of it back in one transaction.
pub(crate) async fn withdraw(manager: &SchemaManager<'_>, change: &Change) -> Result<(), DbErr> {
    if change.older == Older::Unasked {
        return Ok(());
    }
    let backend = manager.get_database_backend();
    let name = || change.name.into();
    let (sql, values) = match backend {
        DbBackend::Sqlite => ("DELETE FROM schema_compatibility WHERE migration = ?", vec![name()]),
        _ => (
            "DELETE c, m FROM schema_compatibility c, seaql_migrations m WHERE c.migration = ? AND m.version = ?",
            vec![name(), name()],
        ),
    };
    manager.get_connection().execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(drop)
}

async fn has_table(db: &impl ConnectionTrait, name: &str) -> Result<bool, DbErr> {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
        _ => "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
    };
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [name.into()]);
    Ok(db.query_one_raw(statement).await?.is_some())
}

fn statement(db: &impl ConnectionTrait, sql: &str) -> Statement {
    Statement::from_string(db.get_database_backend(), sql)
}
