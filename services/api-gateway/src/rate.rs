//! How many requests a second are allowed, and where a client stands with that.

use std::num::NonZeroU32;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::Quota;

/// A rate and the burst it allows; no limit where it was made with 0 a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Option<Allowed>);

impl Rate {
    /// A limit of `per_second` requests with bursts of up to `burst`; 0 a second means no limit.
    pub fn new(per_second: u32, burst: NonZeroU32) -> Self {
        Self(NonZeroU32::new(per_second).map(|per_second| Allowed { per_second, burst }))
    }

    /// What is allowed; `None` where there is no limit.
    pub(crate) fn allowed(self) -> Option<Allowed> {
        self.0
    }
}

/// A limit: requests a second, and at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl Allowed {
    pub(crate) fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }

    /// Seconds until so many requests may be made that may not be made now, rounded up.
    fn seconds_for(self, requests: u32) -> u32 {
        requests.div_ceil(self.per_second.get())
    }
}

/// Where a client stands with a limit, as it is told in the headers of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitStatus {
    burst: u32,
    remaining: u32,
    reset: u32,
    window: u32,
}

impl LimitStatus {
    /// Of a client that may make so many requests now.
    pub(crate) fn new(allowed: Allowed, remaining: u32) -> Self {
        let burst = allowed.burst.get();
        let reset = allowed.seconds_for(burst.saturating_sub(remaining));
        Self { burst, remaining, reset, window: allowed.seconds_for(burst) }
    }

    /// Of a client that has used up a limit of one a second: an example.
    pub(crate) fn used_up() -> Self {
        Self::new(Allowed { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN }, 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_burst_rest_and_seconds() {
        let rate = Rate::new(2, NonZeroU32::new(5).expect("positive"));
        let of = |remaining| LimitStatus::new(rate.allowed().expect("a limit"), remaining);
        assert_eq!(of(5), LimitStatus { burst: 5, remaining: 5, reset: 0, window: 3 });
        assert_eq!(of(4), LimitStatus { burst: 5, remaining: 4, reset: 1, window: 3 });
        assert_eq!(of(0), LimitStatus { burst: 5, remaining: 0, reset: 3, window: 3 });
    }
}
