//! Times as clients get them, and as they tell them.

use chrono::{DateTime, SecondsFormat, Utc};

/// This machine's clock, beside which what others say by theirs is held: when they signed, and whether a time lies ahead.
#[expect(
    clippy::disallowed_methods,
    reason = "what clients say of time goes by their clocks; what is stored goes by the database's"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
