//! Doing something again until it works.

use std::{future::Future, time::Duration};

use tokio_util::sync::CancellationToken;

/// Does `work` until it succeeds. After each failure `again` gets the error and how many failed before it, and gives the pause
/// until the next try, or `None` for no other; it may say what it sees. A `stop` ends the pauses. The error is that of the
/// last try.
pub async fn until_ok<T, E, F>(
    work: impl Fn() -> F,
    mut again: impl FnMut(&E, u32) -> Option<Duration>,
    stop: Option<&CancellationToken>,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut failures = 0;
    loop {
        let error = match work().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(pause) = again(&error, failures) else { return Err(error) };
        let pause = tokio::time::sleep(pause);
        let is_stopped = if let Some(stop) = stop {
            stop.run_until_cancelled(pause).await.is_none()
        } else {
            pause.await;
            false
        };
        if is_stopped {
            return Err(error);
        }
        failures = failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Work that fails before its third try, with the number of the try.
    fn third_time(tries: &Cell<u32>) -> impl Future<Output = Result<&'static str, u32>> {
        tries.set(tries.get() + 1);
        std::future::ready(if tries.get() < 3 { Err(tries.get()) } else { Ok("done") })
    }

    #[tokio::test]
    async fn it_goes_on_until_it_works() {
        let tries = Cell::new(0);
        let mut seen = Vec::new();
        let again = |error: &u32, failures| {
            seen.push((*error, failures));
            Some(Duration::ZERO)
        };
        assert_eq!(until_ok(|| third_time(&tries), again, None).await, Ok("done"));
        assert_eq!(seen, [(1, 0), (2, 1)]);
    }

    #[tokio::test]
    async fn it_ends_where_there_is_no_other_try_or_a_stop() {
        let tries = Cell::new(0);
        assert_eq!(until_ok(|| third_time(&tries), |_, _| None, None).await, Err(1));
        let stop = CancellationToken::new();
        stop.cancel();
        let again = |_: &u32, _| Some(Duration::from_hours(1));
        assert_eq!(until_ok(|| third_time(&tries), again, Some(&stop)).await, Err(2));
    }
}
