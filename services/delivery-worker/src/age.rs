//! How old a message is, by the clocks of its gateway and of this worker.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::MessageBody;

/// This worker's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "for metrics and hints to operators; what decides goes by the database's clock"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Time since the message was accepted, or since its time came; `None` where its identifier names no time. Off by as much as those clocks
/// are.
pub(crate) fn of(body: &MessageBody) -> Option<Duration> {
    if let Some(time) = body.send_at {
        return Some(since(time));
    }
    let made_at = body.message_identifier.made_at()?;
    Duration::from_millis(u64::try_from(now().timestamp_millis()).ok()?).checked_sub(made_at)
}

/// Time since then; none where it lies ahead.
pub(crate) fn since(time: DateTime<Utc>) -> Duration {
    (now() - time).to_std().unwrap_or(Duration::ZERO)
}
