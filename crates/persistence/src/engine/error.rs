//! What can go wrong, as far as callers choose by it.

use sea_orm::DbErr;

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
