//! What was counted on this thread.

use std::time::Duration;

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::wait_until;

/// Far longer than anything takes that is waited for here.
const DEADLINE: Duration = Duration::from_secs(30);

/// Records everything that is counted on this thread, which is all of a test on a runtime of one thread. It tells a test that a
/// loop has come round, without a wait for some time.
pub struct Counted {
    handle: PrometheusHandle,
    _guard: LocalRecorderGuard<'static>,
}

impl Counted {
    /// Begins to record.
    #[must_use]
    pub fn on_this_thread() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Leaked, because a test's tasks use it until the last of them is dropped.
        Self { handle, _guard: metrics::set_default_local_recorder(Box::leak(Box::new(recorder))) }
    }

    /// The whole part of a series' value, the series written as it is exported; 0 where it does not exist.
    ///
    /// # Panics
    ///
    /// When the value is no number.
    pub fn value(&self, series: &str) -> i64 {
        let text = self.handle.render();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.and_then(|value| value.split('.').next()).map_or(0, |whole| whole.parse().expect("a number"))
    }

    /// Waits until a series is at `value` or above.
    pub async fn reaches(&self, series: &str, value: i64) {
        let what = format!("{series} at {value}");
        wait_until(DEADLINE, &what, async || (self.value(series) >= value).then_some(())).await;
    }

    /// How many operations of this name have ended with this result.
    pub fn queries(&self, query: &str, result: &str) -> i64 {
        self.value(&queries(query, result))
    }

    /// Waits until so many have.
    pub async fn reaches_queries(&self, query: &str, result: &str, count: i64) {
        self.reaches(&queries(query, result), count).await;
    }
}

fn queries(query: &str, result: &str) -> String {
    format!("db_queries_total{{query=\"{query}\",result=\"{result}\"}}")
}
