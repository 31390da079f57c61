//! How old a message is, by the time in its identifier.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::MessageId;

/// Time since the message was accepted, by the clocks of its gateway and of this worker; `None` where its identifier names no time.
/// Only for metrics: it is off by as much as those clocks are.
#[expect(clippy::disallowed_methods, reason = "a metric, for which no row is read")]
pub(crate) fn of(message_id: &MessageId) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.saturating_sub(message_id.made_at()?))
}
