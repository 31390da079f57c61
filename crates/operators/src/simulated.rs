//! The built-in operator: accepts at once and logs.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use tower::Service;

use crate::{
    OperatorName,
    outcome::{Answer, Failure, Outcome},
    round::Round,
};

/// An operator in this process, for running without one.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedOperator {
    name: OperatorName,
}

impl SimulatedOperator {
    pub(crate) fn new(name: OperatorName) -> Self {
        Self { name }
    }
}

impl Service<Arc<Round>> for SimulatedOperator {
    type Response = Answer;
    type Error = Failure;
    type Future = Ready<Outcome>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, round: Arc<Round>) -> Ready<Outcome> {
        tracing::info!(operator = %self.name, message_identifier = %round.submission.message_id, "simulated operator accepted");
        ready(Ok(Answer::Accepted { ids: vec![None] }))
    }
}
