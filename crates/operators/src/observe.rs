//! Every attempt is seen here once: metrics, a span, and the round's record.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use instruments::names::{self, label};
use metrics::{Counter, Histogram};
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::{Instrument as _, field::Empty};

use crate::{
    OperatorName,
    outcome::{Answer, BoxFuture, CLASSES, Failure, Outcome, class_of},
    round::Round,
};

/// The metrics of one operator, bound to the recorder that is installed when it is built.
#[derive(Debug)]
struct Meters {
    calls: [Counter; CLASSES.len()],
    duration: Histogram,
}

impl Meters {
    fn new(operator: &OperatorName) -> Self {
        let name = || operator.as_str().to_owned();
        let calls = CLASSES.map(
            |class| metrics::counter!(names::OPERATOR_CALLS_TOTAL, label::OPERATOR => name(), label::RESULT => class),
        );
        Self { calls, duration: metrics::histogram!(names::OPERATOR_DURATION_SECONDS, label::OPERATOR => name()) }
    }

    fn count(&self, outcome: &Outcome, started: Instant) {
        self.calls[class_of(outcome)].increment(1);
        if !matches!(outcome, Err(Failure::BreakerOpen)) {
            self.duration.record(started.elapsed());
        }
    }
}

/// Observes the attempts at one operator.
#[derive(Debug, Clone)]
pub(crate) struct ObserveLayer {
    operator: OperatorName,
    meters: Arc<Meters>,
}

impl ObserveLayer {
    pub(crate) fn new(operator: OperatorName) -> Self {
        let meters = Arc::new(Meters::new(&operator));
        Self { operator, meters }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner, layer: self.clone() }
    }
}

/// An operator whose attempts are observed.
#[derive(Debug, Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    layer: ObserveLayer,
}

impl<S> Service<Arc<Round>> for Observed<S>
where
    S: Service<Arc<Round>, Response = Answer, Error = Failure>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = Failure;
    type Future = BoxFuture<Outcome>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, round: Arc<Round>) -> BoxFuture<Outcome> {
        let ObserveLayer { operator, meters } = self.layer.clone();
        let message_identifier = round.submission.message_id.as_str();
        let span =
            tracing::info_span!("operator.call", otel.kind = "client", %operator, message_identifier, result = Empty);
        let started = Instant::now();
        let call = self.inner.call(Arc::clone(&round)).instrument(span.clone());
        Box::pin(async move {
            let outcome = call.await;
            meters.count(&outcome, started);
            span.record("result", CLASSES[class_of(&outcome)]);
            round.record(operator, outcome.clone());
            outcome
        })
    }
}
