//! What a worker has counted so far. It tells a test that a loop has come round, without a wait for some time.

use metrics::LocalRecorderGuard;
use telemetry::MetricsHandle;

use super::eventually;

/// Records everything that happens on this thread, which is all of a test on a runtime of one thread.
pub(crate) struct Metrics {
    handle: MetricsHandle,
    _guard: LocalRecorderGuard<'static>,
}

impl Metrics {
    pub(crate) fn record() -> Self {
        let (recorder, handle) = telemetry::recorder();
        // Leaked, because a test's tasks use it until the last of them is dropped.
        Self { handle, _guard: metrics::set_default_local_recorder(Box::leak(Box::new(recorder))) }
    }

    /// The whole part of a series' value, the series written as it is exported; 0 where it does not exist.
    pub(crate) fn value(&self, series: &str) -> i64 {
        let text = self.handle.render();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.and_then(|value| value.split('.').next()).map_or(0, |whole| whole.parse().expect("a number"))
    }

    /// Waits until a series is at `value` or above.
    pub(crate) async fn reaches(&self, series: &str, value: i64) {
        eventually(&format!("{series} at {value}"), async || self.value(series) >= value).await;
    }

    /// Waits until so many operations of this name have ended with this result.
    pub(crate) async fn reaches_queries(&self, query: &str, result: &str, count: i64) {
        self.reaches(&format!("db_queries_total{{query=\"{query}\",result=\"{result}\"}}"), count).await;
    }
}
