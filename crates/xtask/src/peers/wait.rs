//! Waiting for what is to come, for a minute at most.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Longer than anything takes that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
pub(super) const POLL: Duration = Duration::from_millis(100);

/// Looks until there is a value; `None` when there is none after a minute.
pub(super) async fn until<T>(mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<Option<T>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = look().await?;
        if found.is_some() || Instant::now() > end {
            return Ok(found);
        }
        sleep(POLL).await;
    }
}
