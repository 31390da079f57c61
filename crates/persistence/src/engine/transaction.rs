//! Running a transaction again after a deadlock, a lock timeout or the loss of its server: the one place that does.

use std::time::Duration;

use domain::{Jitter, RetrySchedule};
use instruments::names;
use sea_orm::DbErr;

use super::{
    Database, Session, StepError, Tx,
    cause::{Cause, cause_of},
};

/// Deadlocks are short: try again soon, five times, never in step with the other party.
const CONTENTION: RetrySchedule =
    RetrySchedule::limited(Duration::from_millis(5), Duration::from_millis(80), 5, Jitter::Equal);

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
    pub(crate) async fn begin(&mut self) -> Result<Tx, StepError> {
        loop {
            let begun = async { Session::take(self.database.connections()).await?.begin().await };
            match begun.await {
                Ok(tx) => return Ok(tx),
                Err(error) => self.again_if(Cause::is_passing, error).await?,
            }
        }
    }

    /// A connection to read from.
    pub(crate) async fn take(&mut self) -> Result<Session, StepError> {
        loop {
            match Session::take(self.database.connections()).await {
                Ok(session) => return Ok(session),
                Err(error) => self.again_if(Cause::is_passing, error).await?,
            }
        }
    }

    /// Commits what went well and gives its value; `None` asks for another try.
    pub(crate) async fn finish<T>(&mut self, tx: Tx, result: Result<T, StepError>) -> Result<Option<T>, StepError> {
        match result {
            Ok(value) => match tx.commit().await {
                Ok(session) => {
                    session.keep();
                    Ok(Some(value))
                }
                Err(error) => {
                    self.again_if(Cause::is_rolled_back, error).await.map_err(of_commit)?;
                    Ok(None)
                }
            },
            Err(StepError::Driver(error)) => {
                if cause_of(&error).spares_connection() {
                    roll_back(tx).await;
                } else {
                    drop(tx);
                }
                self.again_if(Cause::allows_another_try, error).await?;
                Ok(None)
            }
            Err(error @ (StepError::Commit(_) | StepError::Final(_))) => {
                roll_back(tx).await;
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
        metrics::counter!(names::DB_TRANSACTION_RETRIES_TOTAL).increment(1);
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
async fn roll_back(tx: Tx) {
    match tx.rollback().await {
        Ok(session) => session.keep(),
        Err(error) => tracing::debug!(%error, "rollback failed; the connection is closed"),
    }
}

/// `transaction!(database, Query::Name, |tx| future)`: runs the future, made anew for each try, in one transaction that is
/// named, timed, bounded, and run again after contention. `tx` is a `&Tx`. The result is a future.
///
/// A macro and not a function: no closure over borrowed arguments can be shown to return `Send` futures today.
macro_rules! transaction {
    ($database:expr, $query:expr, |$tx:ident| $future:expr) => {
        // Boxed: what sea-orm awaits is large, and callers await this in the middle of their own work.
        $database.bounded(
            $query,
            Box::pin(async {
                let mut tries = $crate::engine::Tries::new($database);
                loop {
                    let begun = tries.begin().await?;
                    let result: Result<_, $crate::engine::StepError> = {
                        let $tx = &begun;
                        $future.await
                    };
                    if let Some(value) = tries.finish(begun, result).await? {
                        return Ok(value);
                    }
                }
            }),
        )
    };
}

/// `reading!(database, Query::Name, |db| future)`: the same for a future that only reads, on a `&Session`, without a transaction
/// around it.
macro_rules! reading {
    ($database:expr, $query:expr, |$db:ident| $future:expr) => {
        $database.bounded(
            $query,
            Box::pin(async {
                let mut tries = $crate::engine::Tries::new($database);
                loop {
                    let session = tries.take().await?;
                    let result: Result<_, $crate::engine::StepError> = {
                        let $db = &session;
                        $future.await
                    };
                    if let Some(value) = tries.finish_reading(session, result).await? {
                        return Ok(value);
                    }
                }
            }),
        )
    };
}

pub(crate) use {reading, transaction};

#[cfg(test)]
mod tests;
