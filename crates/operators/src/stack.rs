//! One operator behind its layers.

use std::{sync::Arc, time::Duration};

use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt as _, retry::RetryLayer, timeout::TimeoutLayer,
    util::BoxCloneSyncService,
};

use crate::{
    OperatorName, OperatorsConfig,
    breaker::{Breaker, BreakerLayer},
    observe::ObserveLayer,
    outcome::{Answer, Failure, Outcome},
    retry::RetryPolicy,
    round::Round,
};

/// One operator with retries, breaker and timeout; clones share the breaker.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    name: OperatorName,
    manners: Manners,
    service: BoxCloneSyncService<Arc<Round>, Answer, Failure>,
}

/// How one operator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manners {
    /// How long one attempt may take.
    pub(crate) attempt: Duration,
    /// Whether it knows a submission that comes again, by its key: then its answer speaks for what was sent before, too.
    pub(crate) recognises: bool,
    /// Whether what it may have is never sent again, to it or to another one.
    pub(crate) holds: bool,
}

impl Stack {
    pub(crate) fn new<S>(name: &OperatorName, manners: Manners, config: &OperatorsConfig, operator: S) -> Self
    where
        S: Service<Arc<Round>, Response = Answer, Error = Failure> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let breaker = Breaker::new(name.clone(), config.breaker);
        let policy = RetryPolicy::new(config.max_retries, config.retry_backoff, breaker.clone(), manners.recognises);
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new(policy))
            .layer(ObserveLayer::new(name.clone()))
            .layer(BreakerLayer::new(breaker))
            .map_err(from_timeout)
            .layer(TimeoutLayer::new(manners.attempt))
            .service(operator);
        Self { name: name.clone(), manners, service: BoxCloneSyncService::new(service) }
    }

    pub(crate) fn name(&self) -> &OperatorName {
        &self.name
    }

    pub(crate) fn manners(&self) -> Manners {
        self.manners
    }

    /// Asks the operator, with its retries; the last attempt's outcome. All of them are in the round's record.
    pub(crate) async fn ask(&self, round: &Arc<Round>) -> Outcome {
        self.service.clone().oneshot(Arc::clone(round)).await
    }
}

/// tower's timeout boxes its errors: either the operator's own failure or its own "elapsed".
fn from_timeout(error: BoxError) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(_) => Failure::Unknown { reason: "no answer in time".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use tokio::time::Instant;
    use tower::service_fn;

    use super::*;
    use crate::{
        retry::MAX_DELAY,
        testing::{self, name},
    };

    /// A stack over an operator that answers its n-th call (from 1) with `answer(n)`, and the number of calls.
    fn stack(
        config: &OperatorsConfig,
        answer: impl Fn(u32) -> Outcome + Clone + Send + Sync + 'static,
    ) -> (Stack, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&calls);
        let operator = service_fn(move |_: Arc<Round>| {
            let outcome = answer(counter.fetch_add(1, Ordering::Relaxed) + 1);
            async move { outcome }
        });
        (Stack::new(&name("a"), manners(config), config, operator), calls)
    }

    fn manners(config: &OperatorsConfig) -> Manners {
        Manners { attempt: config.timeout, recognises: true, holds: false }
    }

    fn unavailable(retry_after: Option<Duration>) -> Outcome {
        Err(Failure::Temporary { answer: "503".into(), retry_after })
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_retried_with_growing_waits() {
        let config = OperatorsConfig { max_retries: 3, ..testing::patient_config() };
        let (stack, calls) = stack(&config, |_| unavailable(None));
        let (round, started) = (testing::round(), Instant::now());
        assert_eq!(stack.ask(&round).await, unavailable(None));
        assert_eq!(calls.load(Ordering::Relaxed), 4);
        assert_eq!(round.take_attempts().len(), 4);
        let full = config.retry_backoff * (1 + 2 + 4);
        let waited = started.elapsed();
        assert!(waited >= full / 2 && waited <= full + Duration::from_millis(10), "waited {waited:?} of {full:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_honoured_up_to_the_longest_delay() {
        for (asked, expected) in [(Duration::from_secs(1), Duration::from_secs(1)), (Duration::from_mins(1), MAX_DELAY)]
        {
            let config = OperatorsConfig { max_retries: 1, ..testing::patient_config() };
            let (stack, calls) = stack(&config, move |_| unavailable(Some(asked)));
            let started = Instant::now();
            stack.ask(&testing::round()).await.expect_err("unavailable");
            assert_eq!(calls.load(Ordering::Relaxed), 2);
            let waited = started.elapsed();
            assert!(waited >= expected && waited <= expected + Duration::from_millis(10), "waited {waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_are_neither_retried_nor_counted_by_the_breaker() {
        let mut config = testing::patient_config();
        config.breaker.failure_threshold = 1;
        let (stack, calls) =
            stack(&config, |_| Ok(Answer::Rejected { reason: "answered 422".into(), of_every_copy: true }));
        for _ in 0..20 {
            stack.ask(&testing::round()).await.expect("an answer");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_end_at_once_when_their_own_failures_open_the_breaker() {
        let mut config = OperatorsConfig { max_retries: 9, ..testing::patient_config() };
        config.breaker.failure_threshold = 2;
        let (stack, calls) = stack(&config, |_| unavailable(None));
        let started = Instant::now();
        assert_eq!(stack.ask(&testing::round()).await, unavailable(None));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert!(started.elapsed() <= config.retry_backoff + Duration::from_millis(10), "no wait after the last try");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_retry_ends_at_once_when_others_open_the_breaker() {
        let mut config = OperatorsConfig { max_retries: 9, retry_backoff: MAX_DELAY, ..testing::patient_config() };
        config.breaker.failure_threshold = 2;
        let (stack, calls) = stack(&config, |_| unavailable(None));
        let round = testing::round();
        let started = Instant::now();
        let (waiting, _) = tokio::join!(stack.ask(&round), async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            stack.ask(&testing::round()).await
        });
        assert_eq!(waiting, Err(Failure::BreakerOpen));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert!(started.elapsed() < Duration::from_millis(100), "both ended with the breaker's change");
        assert_eq!(round.take_attempts().len(), 2, "the attempt before is still on record");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_in_time_is_unknown() {
        let config = OperatorsConfig { max_retries: 0, ..testing::patient_config() };
        let operator = service_fn(|_: Arc<Round>| std::future::pending::<Outcome>());
        let stack = Stack::new(&name("a"), manners(&config), &config, operator);
        let started = Instant::now();
        let outcome = stack.ask(&testing::round()).await;
        assert!(matches!(outcome, Err(Failure::Unknown { .. })), "{outcome:?}");
        assert!(started.elapsed() >= config.timeout);
    }
}
