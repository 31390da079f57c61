//! Calls of amqprs, made so that none is cancelled half-way.
//!
//! Its channel dispatcher unwraps when the answer to a call finds nobody waiting; a `timeout` around the call itself
//! would therefore kill the channel without a trace. The call runs in a task of its own and only the wait for it is
//! cut short. A call left behind ends with its connection, which heartbeats bound.

use std::{future::Future, time::Duration};

use amqprs::error::Error as AmqpError;
use tokio::{
    task::JoinError,
    time::{error::Elapsed, timeout},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Why a connection cannot be made or kept. For logs only: callers see outcomes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{step} took longer than {limit:?}")]
    TimedOut { step: &'static str, limit: Duration },
    #[error("{step} failed: {source}")]
    Amqp { step: &'static str, source: AmqpError },
    #[error("{step} ended in a panic of the amqp client")]
    Panicked { step: &'static str },
    #[error("{step} was refused by the broker: {code} {text}")]
    Refused { step: &'static str, code: u16, text: String },
    #[error(transparent)]
    Connection(#[from] super::preflight::Refusal),
}

/// Makes calls on one connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    tasks: TaskTracker,
    limit: Duration,
}

impl Caller {
    pub(super) fn new(tasks: TaskTracker, limit: Duration) -> Self {
        Self { tasks, limit }
    }

    /// Waits for a call on a channel, which goes on by itself when the wait ends first.
    pub(super) async fn call<T, F>(&self, step: &'static str, call: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AmqpError>> + Send + 'static,
    {
        let running = self.tasks.spawn(call);
        self.outcome(step, timeout(self.limit, running).await)
    }

    /// Waits for opening or closing a whole connection and gives it up when the wait ends first: an unanswered
    /// handshake has no heartbeat to end it, and nothing but this connection can suffer.
    pub(super) async fn call_or_abort<T, F>(&self, step: &'static str, call: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AmqpError>> + Send + 'static,
    {
        let running = AbortOnDropHandle::new(self.tasks.spawn(call));
        self.outcome(step, timeout(self.limit, running).await)
    }

    fn outcome<T>(
        &self,
        step: &'static str,
        finished: Result<Result<Result<T, AmqpError>, JoinError>, Elapsed>,
    ) -> Result<T, Failure> {
        match finished {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(source))) => Err(Failure::Amqp { step, source }),
            Ok(Err(_panic)) => Err(Failure::Panicked { step }),
            Err(_elapsed) => Err(Failure::TimedOut { step, limit: self.limit }),
        }
    }
}
