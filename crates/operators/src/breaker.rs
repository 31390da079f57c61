//! A circuit breaker as a tower layer: an operator that keeps failing is left alone for a while.
//!
//! A call asks for admission when it is made, not when the service is polled for readiness: a clone that is
//! ready but never called then holds no probe's place.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use instruments::names::{self, label};
use metrics::Gauge;
use tokio::{sync::watch, time::Instant};
use tower::{Layer, Service};

use crate::{
    BreakerConfig, OperatorName,
    outcome::{BoxFuture, Failure},
};

mod state;

use state::{Machine, State, Ticket};

/// The breaker of one operator; clones share its state.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    operator: OperatorName,
    machine: Mutex<Machine>,
    state: watch::Sender<State>,
    gauge: Gauge,
}

impl Breaker {
    pub(crate) fn new(operator: OperatorName, config: BreakerConfig) -> Self {
        let gauge = metrics::gauge!(names::OPERATOR_BREAKER_STATE, label::OPERATOR => operator.as_str().to_owned());
        gauge.set(State::Closed.as_gauge());
        let machine = Mutex::new(Machine::new(config));
        Self { shared: Arc::new(Shared { operator, machine, state: watch::Sender::new(State::Closed), gauge }) }
    }

    /// Whether calls are refused now.
    pub(crate) fn is_open(&self) -> bool {
        self.step(|machine| machine.is_open(Instant::now()))
    }

    /// Waits until the breaker opens the next time.
    pub(crate) async fn opens(&self) {
        let mut states = self.shared.state.subscribe();
        while *states.borrow_and_update() == State::Open {
            states.changed().await.expect("this handle keeps the sender alive");
        }
        states.wait_for(|state| *state == State::Open).await.expect("this handle keeps the sender alive");
    }

    fn admit(&self) -> Option<Permit> {
        let ticket = self.step(|machine| machine.admit(Instant::now()))?;
        Some(Permit { breaker: self.clone(), ticket: Some(ticket) })
    }

    /// Runs one step of the state machine and makes a change of state known.
    fn step<T>(&self, step: impl FnOnce(&mut Machine) -> T) -> T {
        let (result, before, after) = {
            let mut machine = self.shared.machine.lock().unwrap_or_else(PoisonError::into_inner);
            let before = machine.state();
            let result = step(&mut machine);
            let after = machine.state();
            if before != after {
                // Under the lock, so that two changes cannot be published in the wrong order.
                self.shared.gauge.set(after.as_gauge());
                self.shared.state.send_replace(after);
            }
            (result, before, after)
        };
        if before != after {
            self.log(before, after);
        }
        result
    }

    fn log(&self, before: State, after: State) {
        let (operator, from, to) = (&self.shared.operator, before.as_str(), after.as_str());
        match after {
            State::Open => tracing::warn!(%operator, from, to, "circuit breaker changed"),
            State::Closed | State::HalfOpen => tracing::info!(%operator, from, to, "circuit breaker changed"),
        }
    }
}

/// One admitted call. Dropped without a result (its future was cancelled), it frees its place.
#[derive(Debug)]
struct Permit {
    breaker: Breaker,
    ticket: Option<Ticket>,
}

impl Permit {
    /// Counts the result. One that says nothing about the operator frees its place.
    fn finish<T>(mut self, result: &Result<T, Failure>) {
        let is_success = match result {
            Ok(_) => true,
            Err(failure) if failure.is_fault() => false,
            Err(_) => return,
        };
        if let Some(ticket) = self.ticket.take() {
            self.breaker.step(|machine| {
                if is_success {
                    machine.succeeded(ticket);
                } else {
                    machine.failed(ticket, Instant::now());
                }
            });
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.step(|machine| machine.abandoned(ticket));
        }
    }
}

/// Puts a service behind a breaker.
#[derive(Debug, Clone)]
pub(crate) struct BreakerLayer {
    breaker: Breaker,
}

impl BreakerLayer {
    pub(crate) fn new(breaker: Breaker) -> Self {
        Self { breaker }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, breaker: self.breaker.clone() }
    }
}

/// A service behind a breaker: every response of it is a success, and every error that is the operator's fault a failure.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    breaker: Breaker,
}

impl<S, R> Service<R> for Guarded<S>
where
    S: Service<R, Error = Failure>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = BoxFuture<Result<S::Response, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let Some(permit) = self.breaker.admit() else {
            return Box::pin(async { Err(Failure::BreakerOpen) });
        };
        let call = self.inner.call(request);
        Box::pin(async move {
            let result = call.await;
            permit.finish(&result);
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::testing::name;

    const OPEN: Duration = Duration::from_secs(5);

    fn breaker() -> Breaker {
        Breaker::new(name("a"), BreakerConfig { failure_threshold: 2, success_threshold: 2, open_timeout: OPEN })
    }

    /// Asks an operator that is up or down through `breaker`.
    async fn ask(breaker: &Breaker, is_up: bool) -> Result<(), Failure> {
        let operator = service_fn(move |()| async move {
            if is_up { Ok(()) } else { Err(Failure::Temporary { answer: "503".into(), retry_after: None }) }
        });
        BreakerLayer::new(breaker.clone()).layer(operator).oneshot(()).await
    }

    /// A call that has been admitted and waits for ever.
    fn hanging_call(breaker: &Breaker) -> impl Future<Output = Result<(), Failure>> {
        let operator = service_fn(|()| std::future::pending::<Result<(), Failure>>());
        BreakerLayer::new(breaker.clone()).layer(operator).call(())
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_skips_probes_and_closes() {
        let breaker = breaker();
        for _ in 0..2 {
            assert!(matches!(ask(&breaker, false).await, Err(Failure::Temporary { .. })));
        }
        assert!(breaker.is_open());
        assert_eq!(ask(&breaker, true).await, Err(Failure::BreakerOpen));
        tokio::time::advance(OPEN).await;
        for _ in 0..2 {
            assert_eq!(ask(&breaker, true).await, Ok(()));
        }
        let closed_again: Vec<_> = (0..10).map(|_| hanging_call(&breaker)).collect();
        assert_eq!(closed_again.len(), 10);
        assert_eq!(ask(&breaker, true).await, Ok(()), "a closed breaker does not count running calls");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_probe_frees_its_place() {
        let breaker = breaker();
        for _ in 0..2 {
            ask(&breaker, false).await.expect_err("down");
        }
        tokio::time::advance(OPEN).await;
        let probes = [hanging_call(&breaker), hanging_call(&breaker)];
        assert_eq!(ask(&breaker, true).await, Err(Failure::BreakerOpen), "no third probe");
        drop(probes);
        assert_eq!(ask(&breaker, true).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_learn_that_it_opened() {
        let breaker = breaker();
        let (opened, ()) = tokio::join!(tokio::time::timeout(OPEN, breaker.opens()), async {
            for _ in 0..2 {
                ask(&breaker, false).await.expect_err("down");
            }
        });
        assert_eq!(opened, Ok(()));
        let again = tokio::time::timeout(OPEN, breaker.opens()).await;
        assert!(again.is_err(), "being open already is not opening");
    }
}
