//! The schema: one file a change, forward and back, for MySQL 8+/9, MariaDB 10.6+ and SQLite.
//!
//! [`up`] is safe when several processes start at once: one of them migrates under a lock, the others wait.
//! MySQL cannot roll back DDL, so every step first asks whether it was already taken; a migration that was
//! cut off half-way is finished by the next start.
//!
//! Releases run beside older and newer ones: [`inspect`] tells whether this one may work on the schema it finds.

mod address;
mod change;
mod compatibility;
mod lean;
mod m0001_reference_tables;
mod m0002_leases_and_refunds;
mod m0003_idempotency_keys;
mod m0004_turns;
mod m0005_ledger_sum_index;
mod m0006_schema_compatibility;
mod m0007_lean_tables;
mod m0008_tenants;
mod m0009_message_details;
mod m0010_receipts;
mod m0011_validity;
mod m0012_callbacks;
mod m0013_exact_receipts;
mod migrator;
mod steps;

use sea_orm_migration::{DbErr, sea_orm::ConnectionTrait};

pub use address::{ACCEPTED_URLS, Address, AddressError};
pub use change::{Change, Lean, Older, Step};
pub use compatibility::Fit;
pub use migrator::{Error, Migrator, State, Status};

/// All changes, oldest first.
pub const CHANGES: &[Change] = &[
    m0001_reference_tables::CHANGE,
    m0002_leases_and_refunds::CHANGE,
    m0003_idempotency_keys::CHANGE,
    m0004_turns::CHANGE,
    m0005_ledger_sum_index::CHANGE,
    m0006_schema_compatibility::CHANGE,
    m0007_lean_tables::CHANGE,
    m0008_tenants::CHANGE,
    m0009_message_details::CHANGE,
    m0010_receipts::CHANGE,
    m0011_validity::CHANGE,
    m0012_callbacks::CHANGE,
    m0013_exact_receipts::CHANGE,
];

/// That of this release.
fn migrator() -> Migrator {
    Migrator::new(CHANGES)
}

/// As [`Migrator::up`], to the schema of this release.
pub async fn up(url: &str) -> Result<(), Error> {
    migrator().up(url).await
}

/// As [`Migrator::down`].
pub async fn down(url: &str, count: Option<u32>) -> Result<(), Error> {
    migrator().down(url, count).await
}

/// As [`Migrator::status`].
pub async fn status(url: &str) -> Result<Vec<Status>, Error> {
    migrator().status(url).await
}

/// As [`Migrator::inspect`].
pub async fn inspect(db: &impl ConnectionTrait) -> Result<Fit, DbErr> {
    migrator().inspect(db).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_numbered_without_gaps() {
        for (place, change) in CHANGES.iter().enumerate() {
            assert!(change.name.starts_with(&format!("m{:04}_", place + 1)), "{} is at place {place}", change.name);
        }
    }

    #[test]
    fn from_the_sixth_on_every_change_says_who_may_work_on_it() {
        for change in CHANGES.iter().filter(|change| change.number() > 6) {
            assert_ne!(change.older, Older::Unasked, "{}", change.name);
        }
    }
}
