//! Times as clients get them.

use chrono::{DateTime, SecondsFormat, Utc};

/// Seconds since 1970 on this machine's clock, beside which what others sign with theirs is held.
#[expect(
    clippy::disallowed_methods,
    reason = "a signature's age is told by the clocks of both sides; nothing of it is stored"
)]
pub(crate) fn seconds_now() -> i64 {
    Utc::now().timestamp()
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
