//! Running a transaction again after a deadlock, a lock timeout or the loss of its server: the one place that does.

use std::time::Duration;

use domain::{Jitter, RetrySchedule};
use sea_orm::DbErr;

use crate::{
    Database, Error,
    cause::{Cause, cause_of},
    session::Session,
};

/// Deadlocks are short: try again soon, five times, never in step with the other party.
const CONTENTION: RetrySchedule =
    RetrySchedule::limited(Duration::from_millis(5), Duration::from_millis(80), 5, Jitter::Equal);

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

pub(crate) fn to_error(doing: &'static str, error: StepError) -> Error {
    match error {
        StepError::Final(error) => error,
        StepError::Commit(source) => Error::Unavailable { doing, source: Some(source) },
        StepError::Driver(source) if cause_of(&source).is_passing() => {
            Error::Unavailable { doing, source: Some(source) }
        }
        StepError::Driver(source) => Error::Refused { doing, source },
    }
}

/// The tries of one operation, each on a connection that goes back to the pool only if nothing is open on it.
///
/// What fails before its commit has stored nothing and may be tried again: on the same connection after a deadlock, on
/// another where the error speaks of the session or its server. After a switch-over or a restart of the server every
/// pooled connection is of that kind. A commit is only repeated where the server says that it rolled back.
pub(crate) struct Tries<'a> {
    database: &'a Database,
    retry: u32,
    /// A server that takes no writes was met.
    met_read_only: bool,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, retry: 0, met_read_only: false }
    }

    /// A connection in a new transaction.
    pub(crate) async fn begin(&mut self) -> Result<Session, StepError> {
        loop {
            let begun = async {
                let mut session = Session::take(&self.database.pool()).await?;
                session.begin().await?;
                Ok(session)
            };
            match begun.await {
                Ok(session) => return Ok(session),
                Err(error) => self.again_if(Cause::is_passing, error).await?,
            }
        }
    }

    /// A connection to read from.
    pub(crate) async fn take(&mut self) -> Result<Session, StepError> {
        loop {
            match Session::take(&self.database.pool()).await {
                Ok(session) => return Ok(session),
                Err(error) => self.again_if(Cause::is_passing, error).await?,
            }
        }
    }

    /// Commits what went well and gives its value; `None` asks for another try.
    pub(crate) async fn finish<T>(
        &mut self,
        mut session: Session,
        result: Result<T, StepError>,
    ) -> Result<Option<T>, StepError> {
        match result {
            Ok(value) => match session.commit().await {
                Ok(()) => {
                    session.keep();
                    Ok(Some(value))
                }
                Err(error) => {
                    drop(session);
                    self.again_if(Cause::is_rolled_back, error).await.map_err(of_commit)?;
                    Ok(None)
                }
            },
            Err(StepError::Driver(error)) => {
                if cause_of(&error).spares_connection() {
                    roll_back(session).await;
                } else {
                    drop(session);
                }
                self.again_if(Cause::allows_another_try, error).await?;
                Ok(None)
            }
            Err(error @ (StepError::Commit(_) | StepError::Final(_))) => {
                roll_back(session).await;
                Err(error)
            }
        }
    }

    /// Gives the value that was read; `None` asks for another try.
    pub(crate) async fn finish_reading<T>(
        &mut self,
        session: Session,
        result: Result<T, StepError>,
    ) -> Result<Option<T>, StepError> {
        match result {
            Err(StepError::Driver(error)) => {
                if cause_of(&error).spares_connection() {
                    session.keep();
                } else {
                    drop(session);
                }
                self.again_if(Cause::allows_another_try, error).await?;
                Ok(None)
            }
            result => {
                session.keep();
                result.map(Some)
            }
        }
    }

    /// Waits for another try where the error's cause is one to try again after and there are tries left.
    async fn again_if(&mut self, allowed: impl Fn(Cause) -> bool, error: DbErr) -> Result<(), StepError> {
        let cause = cause_of(&error);
        if cause.concerns_server() {
            self.database.distrust_connections(&error).await;
        }
        // Where no other server answers a second try is as vain as five, and each costs a connection.
        let in_vain = cause == Cause::ReadOnly && std::mem::replace(&mut self.met_read_only, true);
        let delay = CONTENTION.delay(self.retry, &mut rand::rng()).filter(|_| allowed(cause) && !in_vain);
        let Some(delay) = delay else { return Err(error.into()) };
        tracing::debug!(retry = self.retry, %error, "running a transaction again");
        metrics::counter!("db_transaction_retries_total").increment(1);
        self.retry += 1;
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

fn of_commit(error: StepError) -> StepError {
    match error {
        StepError::Driver(error) => StepError::Commit(error),
        error => error,
    }
}

/// A connection that does not roll back is closed, which has the same effect.
async fn roll_back(mut session: Session) {
    match session.rollback().await {
        Ok(()) => session.keep(),
        Err(error) => tracing::debug!(%error, "rollback failed; the connection is closed"),
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
                    let mut tries = $crate::retry::Tries::new($database);
                    loop {
                        let session = tries.begin().await?;
                        let result: Result<_, $crate::retry::StepError> = async {
                            let $tx = &session;
                            $body
                        }
                        .await;
                        if let Some(value) = tries.finish(session, result).await? {
                            return Ok(value);
                        }
                    }
                }),
            )
            .await
    };
}

/// `read!(database, "query name", "what is being done", |db| async body)`: the same for a body that only reads, without
/// a transaction around it.
macro_rules! read {
    ($database:expr, $query:expr, $doing:expr, |$db:ident| $body:expr) => {
        $database
            .bounded(
                $query,
                $doing,
                Box::pin(async {
                    let mut tries = $crate::retry::Tries::new($database);
                    loop {
                        let session = tries.take().await?;
                        let result: Result<_, $crate::retry::StepError> = async {
                            let $db = &session;
                            $body
                        }
                        .await;
                        if let Some(value) = tries.finish_reading(session, result).await? {
                            return Ok(value);
                        }
                    }
                }),
            )
            .await
    };
}

pub(crate) use {read, write};

#[cfg(test)]
mod tests;
