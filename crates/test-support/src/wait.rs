//! Waiting for a condition instead of sleeping.

use std::time::Duration;

use tokio::time::Instant;

const POLL: Duration = Duration::from_millis(20);

/// Asks every 20 ms until the closure gives a value.
///
/// # Panics
///
/// With `what` when there is none after `deadline`; an answer that takes longer than that counts as none.
pub async fn wait_until<T>(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Ok(Some(value)) = tokio::time::timeout_at(end, condition()).await {
            return value;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_value_is_given_back_once_there_is_one() {
        let mut calls = 0;
        let value = wait_until(Duration::from_secs(1), "three calls", async || {
            calls += 1;
            (calls == 3).then_some(calls)
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not within 1s: pigs fly")]
    async fn the_deadline_panics_with_what_was_waited_for() {
        wait_until(Duration::from_secs(1), "pigs fly", async || None::<()>).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not within 1s: an answer")]
    async fn a_condition_that_hangs_does_not_hang_the_test() {
        wait_until(Duration::from_secs(1), "an answer", async || std::future::pending::<Option<()>>().await).await;
    }
}
