//! Why one try of an operation ended.

use sea_orm::DbErr;

use super::{Error, cause::cause_of};

/// Why a step of a transaction ended: by the driver, or by an error of our own that retrying cannot cure.
#[derive(Debug)]
pub(crate) enum StepError {
    Driver(DbErr),
    /// A commit failed, and whether it happened is known to nobody: never run again, whole or in parts.
    Commit(DbErr),
    Final(Error),
}

impl From<DbErr> for StepError {
    fn from(error: DbErr) -> Self {
        Self::Driver(error)
    }
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl StepError {
    /// What the caller of the operation is told.
    pub(crate) fn into_error(self, doing: &'static str) -> Error {
        match self {
            Self::Final(error) => error,
            Self::Commit(source) => Error::Unavailable { doing, source: Some(source) },
            Self::Driver(source) if cause_of(&source).is_passing() => {
                Error::Unavailable { doing, source: Some(source) }
            }
            Self::Driver(source) => Error::Refused { doing, source },
        }
    }
}
