//! Running a transaction again after a deadlock or a lock timeout: the one place that does.

use std::time::Duration;

use domain::{Jitter, RetrySchedule};
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};

use crate::{
    Error,
    error::{Cause, cause_of},
};

/// Deadlocks are short: try again soon, five times, never in step with the other party.
const CONTENTION: RetrySchedule =
    RetrySchedule::limited(Duration::from_millis(5), Duration::from_millis(80), 5, Jitter::Equal);

/// Why a step of a transaction ended: by the driver, or by an error of our own that retrying cannot cure.
#[derive(Debug)]
pub(crate) enum StepError {
    Driver(DbErr),
    Final(Error),
}

impl StepError {
    /// Whether the driver's trouble may be gone at the next try.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Driver(error) if cause_of(error) != Cause::Other)
    }
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

pub(crate) fn to_error(doing: &'static str, error: StepError) -> Error {
    match error {
        StepError::Final(error) => error,
        StepError::Driver(source) => match cause_of(&source) {
            Cause::Other => Error::Refused { doing, source },
            Cause::Contention | Cause::Connection => Error::Unavailable { doing, source: Some(source) },
        },
    }
}

/// The tries of one transaction: begun, then committed or rolled back, then perhaps begun again.
///
/// A connection that fails while the transaction begins has done nothing yet, so that is tried again too: after
/// a restart of the server every pooled connection fails once.
pub(crate) struct Tries<'a> {
    db: &'a DatabaseConnection,
    retry: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(db: &'a DatabaseConnection) -> Self {
        Self { db, retry: 0 }
    }

    pub(crate) async fn begin(&mut self) -> Result<DatabaseTransaction, StepError> {
        loop {
            match self.db.begin().await {
                Ok(transaction) => return Ok(transaction),
                Err(error) if cause_of(&error) == Cause::Other => return Err(error.into()),
                Err(error) => self.wait(error).await?,
            }
        }
    }

    /// Commits what went well and gives its value; `None` asks for another try.
    pub(crate) async fn finish<T>(
        &mut self,
        transaction: DatabaseTransaction,
        result: Result<T, StepError>,
    ) -> Result<Option<T>, StepError> {
        let error = match result {
            Ok(value) => match transaction.commit().await {
                Ok(()) => return Ok(Some(value)),
                Err(error) => error,
            },
            Err(error) => {
                // The server rolls back by itself when the connection is what failed.
                if let Err(rollback) = transaction.rollback().await {
                    tracing::debug!(error = %rollback, "rollback failed; the connection is dropped");
                }
                match error {
                    StepError::Driver(error) => error,
                    error @ StepError::Final(_) => return Err(error),
                }
            }
        };
        if cause_of(&error) != Cause::Contention {
            return Err(error.into());
        }
        self.wait(error).await?;
        Ok(None)
    }

    async fn wait(&mut self, error: DbErr) -> Result<(), StepError> {
        let Some(delay) = CONTENTION.delay(self.retry, &mut rand::rng()) else {
            return Err(error.into());
        };
        tracing::debug!(retry = self.retry, %error, "running a transaction again");
        metrics::counter!("db_transaction_retries_total").increment(1);
        self.retry += 1;
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

/// `write!(database, "query name", "what is being done", |tx| async body)`: runs the body in one transaction that is
/// named, timed, bounded, and run again after contention.
///
/// A macro and not a function: no closure over borrowed arguments can be shown to return `Send` futures today.
macro_rules! write {
    ($database:expr, $query:expr, $doing:expr, |$tx:ident| $body:expr) => {
        $database
            // Boxed: what sea-orm awaits is large, and callers await this in the middle of their own work.
            .bounded(
                $query,
                $doing,
                Box::pin(async {
                    let pool = $database.pool();
                    let mut tries = $crate::retry::Tries::new(&pool);
                    loop {
                        let transaction = tries.begin().await?;
                        let result: Result<_, $crate::retry::StepError> = async {
                            let $tx = &transaction;
                            $body
                        }
                        .await;
                        if let Some(value) = tries.finish(transaction, result).await? {
                            return Ok(value);
                        }
                    }
                }),
            )
            .await
    };
}

/// `read!(database, "query name", "what is being done", |db| async body)`: the same for a body that only reads. It is
/// run twice where a pooled connection turns out to have died with the server's last restart.
macro_rules! read {
    ($database:expr, $query:expr, $doing:expr, |$db:ident| $body:expr) => {
        $database
            .bounded(
                $query,
                $doing,
                Box::pin(async {
                    let pool = $database.pool();
                    let $db = &pool;
                    let first: Result<_, $crate::retry::StepError> = async { $body }.await;
                    match first {
                        Err(error) if error.is_passing() => async { $body }.await,
                        result => result,
                    }
                }),
            )
            .await
    };
}

pub(crate) use {read, write};
