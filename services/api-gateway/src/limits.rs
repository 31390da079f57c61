//! What keeps the gateway from taking in more than it should: requests a second, and the outbox backlog.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::CustomerId;
use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use persistence::Database;
use service_kit::Scope;
use telemetry::names;

use crate::{Settings, error::ApiError};

/// How often the backlog is counted: never per request, and never older than this.
const COUNT_EVERY: Duration = Duration::from_millis(250);
/// The backlog is counted up to here, and at least to one more than the threshold.
const COUNT_UP_TO: u64 = 20_000;
/// How often customers that have been quiet are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// A rate and the burst it allows; `None` where the limit is switched off.
#[derive(Debug, Clone, Copy)]
pub struct Rate(Option<Quota>);

impl Rate {
    /// A limit of `per_second` requests with bursts of up to `burst`; 0 a second means no limit.
    pub fn new(per_second: u32, burst: NonZeroU32) -> Self {
        Self(NonZeroU32::new(per_second).map(|rate| Quota::per_second(rate).allow_burst(burst)))
    }
}

/// The limits of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Limits {
    shared: Arc<Shared>,
}

struct Shared {
    global: Option<DefaultDirectRateLimiter>,
    customers: Option<DefaultKeyedRateLimiter<CustomerId>>,
    backlog: AtomicU64,
    backlog_threshold: Option<u64>,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn start(settings: &Settings, database: &Database, scope: &Scope) -> Self {
        let limits = Self {
            shared: Arc::new(Shared {
                global: settings.global_rate.0.map(RateLimiter::direct),
                customers: settings.customer_rate.0.map(RateLimiter::keyed),
                backlog: AtomicU64::new(0),
                backlog_threshold: settings.backlog_threshold,
                clock: DefaultClock::default(),
            }),
        };
        scope.spawn("forget quiet customers", limits.clone().forget_quiet_customers(scope.clone()));
        scope.spawn("count backlog", limits.clone().count_backlog(database.clone(), scope.clone()));
        limits
    }

    /// All requests of this process together.
    pub(crate) fn check_global(&self) -> Result<(), ApiError> {
        match &self.shared.global {
            Some(limiter) => limiter.check().map_err(|until| self.limited("global", &until)),
            None => Ok(()),
        }
    }

    /// The requests to send of one customer.
    pub(crate) fn check_customer(&self, customer: CustomerId) -> Result<(), ApiError> {
        match &self.shared.customers {
            Some(limiter) => limiter.check_key(&customer).map_err(|until| self.limited("user", &until)),
            None => Ok(()),
        }
    }

    /// The events that wait to be published.
    pub(crate) fn check_backlog(&self) -> Result<(), ApiError> {
        let backlog = self.shared.backlog.load(Ordering::Relaxed);
        if self.shared.backlog_threshold.is_some_and(|threshold| backlog > threshold) {
            metrics::counter!(names::BACKPRESSURE_REJECTIONS_TOTAL).increment(1);
            return Err(ApiError::Overloaded);
        }
        Ok(())
    }

    fn limited(&self, scope: &'static str, until: &NotUntil<<DefaultClock as Clock>::Instant>) -> ApiError {
        metrics::counter!(names::RATE_LIMITED_REQUESTS_TOTAL, "scope" => scope).increment(1);
        let wait = until.wait_time_from(self.shared.clock.now());
        // Whole seconds, rounded up: a client that waits that long passes.
        let retry_after = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        ApiError::RateLimited { retry_after: retry_after.max(1) }
    }

    async fn forget_quiet_customers(self, scope: Scope) {
        while scope.stop.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
            if let Some(limiter) = &self.shared.customers {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
    }

    async fn count_backlog(self, database: Database, scope: Scope) {
        let most = self.shared.backlog_threshold.map_or(COUNT_UP_TO, |threshold| COUNT_UP_TO.max(threshold + 1));
        while scope.stop.run_until_cancelled(tokio::time::sleep(COUNT_EVERY)).await.is_some() {
            // While the database is down the last count stands.
            if let Ok(backlog) = database.pending_events(most).await {
                self.shared.backlog.store(backlog, Ordering::Relaxed);
                #[expect(clippy::cast_precision_loss, reason = "a gauge; counts are far below 2^52")]
                metrics::gauge!(names::CURRENT_OUTBOX_PENDING_EVENTS).set(backlog as f64);
            }
        }
    }
}
