//! One endpoint a file: what it takes, what it does, what it answers.

pub(crate) mod balance;
pub(crate) mod history;
pub(crate) mod send;
pub(crate) mod top_up;

use chrono::{DateTime, SecondsFormat, Utc};

/// A time as clients get it: RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
