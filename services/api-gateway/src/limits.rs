//! Rate limits: how many requests of everybody together, and of one customer, are taken in a second.

use std::{
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use domain::CustomerId;
use governor::{
    DefaultDirectRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use service_kit::Scope;
use telemetry::names;

use crate::{Settings, error::ApiError};

/// How often customers that have been quiet are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// Customers that are remembered at most: 18 MB were measured for so many. Only a burst that takes long to come back (many minutes of the
/// rate) lets that many be remembered; then all start anew, rather than memory growing without end.
const MAX_CUSTOMERS: usize = 500_000;

/// A rate and the burst it allows; no limit where it was made with 0 a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Option<Allowed>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowed {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl Rate {
    /// A limit of `per_second` requests with bursts of up to `burst`; 0 a second means no limit.
    pub fn new(per_second: u32, burst: NonZeroU32) -> Self {
        Self(NonZeroU32::new(per_second).map(|per_second| Allowed { per_second, burst }))
    }
}

impl Allowed {
    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }

    /// Seconds until so many requests may be made that may not be made now, rounded up.
    fn seconds_for(self, requests: u32) -> u32 {
        requests.div_ceil(self.per_second.get())
    }
}

/// Where a client stands with a limit, as it is told in the headers of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    burst: u32,
    remaining: u32,
    reset: u32,
    window: u32,
}

impl Standing {
    fn new(allowed: Allowed, remaining: u32) -> Self {
        let burst = allowed.burst.get();
        let reset = allowed.seconds_for(burst.saturating_sub(remaining));
        Self { burst, remaining, reset, window: allowed.seconds_for(burst) }
    }

    /// The `RateLimit-*` headers (IETF draft-ietf-httpapi-ratelimit-headers-06): requests at once, what is left of
    /// them, seconds until all are there again.
    pub(crate) fn write_to(self, headers: &mut HeaderMap) {
        let Self { burst, remaining, reset, window } = self;
        let mut set = |name, value: String| {
            let value = HeaderValue::from_str(&value).expect("digits and a few letters are a header's value");
            headers.insert(HeaderName::from_static(name), value);
        };
        set("ratelimit-limit", burst.to_string());
        set("ratelimit-remaining", remaining.to_string());
        set("ratelimit-reset", reset.to_string());
        set("ratelimit-policy", format!("{burst};w={window}"));
    }
}

impl Standing {
    /// Of a client that has used up a limit of one a second: an example.
    pub(crate) fn used_up() -> Self {
        Self::new(Allowed { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN }, 0)
    }
}

/// The limits of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Limits {
    shared: Arc<Shared>,
}

struct Shared {
    global: Option<(Allowed, DefaultDirectRateLimiter)>,
    customers: Option<Customers>,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn start(settings: &Settings, scope: &Scope) -> Self {
        let limits = Self {
            shared: Arc::new(Shared {
                global: settings.global_rate.0.map(|allowed| (allowed, RateLimiter::direct(allowed.quota()))),
                customers: settings.customer_rate.0.map(|allowed| Customers::new(allowed, MAX_CUSTOMERS)),
                clock: DefaultClock::default(),
            }),
        };
        scope.spawn_until_stopped("forget quiet customers", limits.clone().forget_quiet_customers());
        limits
    }

    /// All requests of this process together.
    pub(crate) fn check_global(&self) -> Result<(), ApiError> {
        match &self.shared.global {
            Some((allowed, limiter)) => limiter.check().map_err(|until| self.limited("global", *allowed, &until)),
            None => Ok(()),
        }
    }

    /// The requests to send of one customer; where it stands now, unless there is no limit.
    pub(crate) fn check_customer(&self, customer: CustomerId) -> Result<Option<Standing>, ApiError> {
        let Some(customers) = &self.shared.customers else { return Ok(None) };
        let checked = customers.check(customer);
        checked.map(Some).map_err(|until| self.limited("user", customers.allowed, &until))
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
        ApiError::RateLimited { retry_after: retry_after.max(1), standing: Standing::new(allowed, 0) }
    }

    async fn forget_quiet_customers(self) {
        let Some(customers) = &self.shared.customers else { return };
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            let remembered = customers.forget_quiet();
            #[expect(clippy::cast_precision_loss, reason = "a gauge, at most half a million")]
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

    fn check(&self, customer: CustomerId) -> Result<Standing, NotUntil<<DefaultClock as Clock>::Instant>> {
        let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
        let snapshot = limiter.check_key(&customer)?;
        Ok(Standing::new(self.allowed, snapshot.remaining_burst_capacity()))
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
    use super::*;

    fn allowed(per_second: u32, burst: u32) -> Allowed {
        Allowed {
            per_second: NonZeroU32::new(per_second).expect("positive"),
            burst: NonZeroU32::new(burst).expect("positive"),
        }
    }

    fn customer(id: i64) -> CustomerId {
        CustomerId::try_from(id).expect("valid")
    }

    #[test]
    fn a_standing_tells_burst_rest_and_seconds() {
        let of = |remaining| Standing::new(allowed(2, 5), remaining);
        assert_eq!(of(5), Standing { burst: 5, remaining: 5, reset: 0, window: 3 });
        assert_eq!(of(4), Standing { burst: 5, remaining: 4, reset: 1, window: 3 });
        assert_eq!(of(0), Standing { burst: 5, remaining: 0, reset: 3, window: 3 });
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
        let standing = customers.check(customer(1)).expect("allowed");
        assert_eq!(standing.remaining, 999_999);
    }
}
