//! What can go wrong, as far as callers choose by it.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// A failed operation on the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached or is too slow now: try again later.
    #[error("the database is not available while {doing}")]
    Unavailable {
        /// The operation.
        doing: &'static str,
        /// What the driver said; `None` when the time ran out or the schema is not there yet.
        #[source]
        source: Option<DbErr>,
    },
    /// The database refused a statement.
    #[error("the database refused to go on while {doing}")]
    Refused {
        /// The operation.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: DbErr,
    },
    /// A row holds what this program never writes.
    #[error("table {table} is inconsistent: {what}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The row and what is wrong with it.
        what: String,
    },
    /// The schema is not one that this release works on.
    #[error("{doing} failed: {reason}")]
    Schema {
        /// The operation.
        doing: &'static str,
        /// What does not fit, and what to do.
        reason: String,
    },
    /// The address of the database is unusable.
    #[error(transparent)]
    Url(#[from] migrations::AddressError),
}

impl Error {
    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The error with what the driver said, for logs.
    pub fn with_cause(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

/// What a failed statement means for the transaction it was part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Deadlock or lock wait timeout: rolled back, run the transaction again.
    Contention,
    /// The connection or the server is gone or going.
    Connection,
    /// Anything else: running it again would not help.
    Other,
}

/// Server codes that pass by themselves, on another connection or a little later: too many connections or prepared
/// statements, shutdown, read-only after a failover, killed, interrupted, aborted, disconnected by the server.
const CONNECTION_CODES: [u16; 14] =
    [1040, 1053, 1077, 1079, 1152, 1203, 1290, 1317, 1461, 1836, 1927, 3024, 3168, 4031];
/// Deadlock found, and lock wait timeout exceeded.
const CONTENTION_CODES: [u16; 2] = [1213, 1205];
/// SQLite's primary codes for busy and locked.
const SQLITE_BUSY_CODES: [i32; 2] = [5, 6];

pub(crate) fn cause_of(error: &DbErr) -> Cause {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Cause::Connection,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            cause_in_driver(error)
        }
        _ => Cause::Other,
    }
}

fn cause_in_driver(error: &SqlxError) -> Cause {
    match error {
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => Cause::Connection,
        SqlxError::Database(refusal) => {
            if let Some(mysql) = refusal.try_downcast_ref::<sea_orm::SqlxMySqlError>() {
                return match mysql.number() {
                    code if CONTENTION_CODES.contains(&code) => Cause::Contention,
                    code if CONNECTION_CODES.contains(&code) => Cause::Connection,
                    _ => Cause::Other,
                };
            }
            let code = refusal.code().and_then(|code| code.parse::<i32>().ok());
            match code {
                // Extended codes carry the primary one in their low byte.
                Some(code) if SQLITE_BUSY_CODES.contains(&(code & 0xff)) => Cause::Contention,
                _ => Cause::Other,
            }
        }
        _ => Cause::Other,
    }
}
