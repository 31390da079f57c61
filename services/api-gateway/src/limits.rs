//! Rate limits: how many requests of everybody together, and of one customer, are taken in a second.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use domain::CustomerId;
use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use service_kit::Scope;
use telemetry::names;

use crate::{
    error::ApiError,
    rate::{Allowed, LimitStatus, Rate},
    settings::Settings,
};

/// How often customers that have been quiet are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// Customers that are remembered at most: 18 MB were measured for so many. Only a burst that takes long to come back (many minutes of the
/// rate) lets that many be remembered; then all start anew, rather than memory growing without end.
const MAX_CUSTOMERS: usize = 500_000;
/// Keys with a limit of their own that are remembered at most; with more all start anew.
const MAX_KEYS: usize = 100_000;

/// The limits of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Limits {
    shared: Arc<Shared>,
}

struct Shared {
    global: Option<(Allowed, DefaultDirectRateLimiter)>,
    /// Of each operator by its name, and of all who are none: these must not use up what operators may send.
    receipts: Option<(Allowed, DefaultKeyedRateLimiter<Option<String>>)>,
    customers: Option<Customers>,
    /// Of the keys that have a limit of their own, by their rows.
    keys: Mutex<HashMap<i64, Arc<(Allowed, DefaultDirectRateLimiter)>>>,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn start(settings: &Settings, scope: &Scope) -> Self {
        let limits = Self {
            shared: Arc::new(Shared {
                global: settings.global_rate.allowed().map(|allowed| (allowed, RateLimiter::direct(allowed.quota()))),
                receipts: settings.receipt_rate.allowed().map(|allowed| (allowed, RateLimiter::keyed(allowed.quota()))),
                customers: settings.customer_rate.allowed().map(|allowed| Customers::new(allowed, MAX_CUSTOMERS)),
                keys: Mutex::default(),
                clock: DefaultClock::default(),
            }),
        };
        scope.spawn_until_stopped("forget quiet customers", limits.clone().forget_quiet_customers());
        limits
    }

    /// All requests of this process together.
    pub(crate) fn check_global(&self) -> Result<(), ApiError> {
        let Some((allowed, limiter)) = &self.shared.global else { return Ok(()) };
        limiter.check().map_err(|until| self.limited("global", *allowed, &until))
    }

    /// The requests with receipts of one operator that has shown who it is; `None` for all others together.
    pub(crate) fn check_receipts(&self, operator: Option<&str>) -> Result<(), ApiError> {
        let Some((allowed, limiter)) = &self.shared.receipts else { return Ok(()) };
        let checked = limiter.check_key(&operator.map(str::to_owned));
        checked.map_err(|until| self.limited("receipts", *allowed, &until))
    }

    /// The requests to send of one customer; where it stands now, unless there is no limit.
    pub(crate) fn check_customer(&self, customer: CustomerId) -> Result<Option<LimitStatus>, ApiError> {
        let Some(customers) = &self.shared.customers else { return Ok(None) };
        let checked = customers.check(customer);
        checked.map(Some).map_err(|until| self.limited("user", customers.allowed, &until))
    }

    /// The requests with one key, which has a limit of its own.
    pub(crate) fn check_key(&self, row: i64, per_second: NonZeroU32) -> Result<(), ApiError> {
        let Some(allowed) = Rate::new(per_second.get(), per_second).allowed() else { return Ok(()) };
        let limiter = {
            let mut keys = self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= MAX_KEYS && !keys.contains_key(&row) {
                keys.clear();
            }
            let new = || Arc::new((allowed, RateLimiter::direct(allowed.quota())));
            Arc::clone(keys.entry(row).or_insert_with(new))
        };
        limiter.1.check().map_err(|until| self.limited("key", limiter.0, &until))
    }

    fn limited(
        &self,
        scope: &'static str,
        allowed: Allowed,
        until: &NotUntil<<DefaultClock as Clock>::Instant>,
    ) -> ApiError {
        metrics::counter!(names::RATE_LIMITED_REQUESTS_TOTAL, "scope" => scope).increment(1);
        let wait = until.wait_time_from(self.shared.clock.now());
        // Whole seconds, rounded up: a client that waits that long passes.
        let retry_after = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        ApiError::RateLimited { retry_after: retry_after.max(1), status: LimitStatus::new(allowed, 0) }
    }

    async fn forget_quiet_customers(self) {
        let Some(customers) = &self.shared.customers else { return };
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            let remembered = customers.forget_quiet();
            metrics::gauge!(names::RATE_LIMIT_TRACKED_CUSTOMERS).set(remembered as f64);
        }
    }
}

type CustomerLimiter =
    RateLimiter<CustomerId, DefaultKeyedStateStore<CustomerId>, DefaultClock, StateInformationMiddleware>;

/// A limit for each customer, within a bound on memory.
struct Customers {
    allowed: Allowed,
    most: usize,
    limiter: RwLock<CustomerLimiter>,
}

impl Customers {
    fn new(allowed: Allowed, most: usize) -> Self {
        Self { allowed, most, limiter: RwLock::new(limiter(allowed)) }
    }

    fn check(&self, customer: CustomerId) -> Result<LimitStatus, NotUntil<<DefaultClock as Clock>::Instant>> {
        let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
        let snapshot = limiter.check_key(&customer)?;
        Ok(LimitStatus::new(self.allowed, snapshot.remaining_burst_capacity()))
    }

    /// Forgets customers whose whole burst is there again, and everybody where that leaves too many. Returns how many
    /// are left.
    fn forget_quiet(&self) -> usize {
        let remembered = {
            let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
            limiter.retain_recent();
            limiter.shrink_to_fit();
            limiter.len()
        };
        if remembered <= self.most {
            return remembered;
        }
        tracing::warn!(customers = remembered, "too many customers to remember for the rate limit; all start anew");
        *self.limiter.write().unwrap_or_else(PoisonError::into_inner) = limiter(self.allowed);
        0
    }
}

fn limiter(allowed: Allowed) -> CustomerLimiter {
    RateLimiter::keyed(allowed.quota()).with_middleware::<StateInformationMiddleware>()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::rate::Rate;

    fn allowed(per_second: u32, burst: u32) -> Allowed {
        let rate = Rate::new(per_second, NonZeroU32::new(burst).expect("positive"));
        rate.allowed().expect("a limit")
    }

    fn customer(id: i64) -> CustomerId {
        CustomerId::try_from(id).expect("valid")
    }

    #[test]
    fn customers_beyond_the_bound_make_all_start_anew() {
        let customers = Customers::new(allowed(1, 1_000_000), 100);
        for id in 1..=100 {
            customers.check(customer(id)).expect("allowed");
        }
        assert_eq!(customers.forget_quiet(), 100, "their burst is not whole again for a second");
        customers.check(customer(101)).expect("allowed");
        assert_eq!(customers.forget_quiet(), 0);
        let status = customers.check(customer(1)).expect("allowed");
        assert_eq!(status, LimitStatus::new(customers.allowed, 999_999));
    }
}
