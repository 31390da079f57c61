//! What the processes say of themselves.

use std::collections::BTreeSet;

use serde_json::Value;
use test_support::ServiceProcess;

/// Readiness and metrics of a service.
pub(crate) trait Observed {
    /// What `/readyz` says of each dependency, with its status; `None` when it does not answer.
    async fn readiness(&self) -> Option<(u16, Value)>;

    /// The names of all metrics that it exports.
    async fn metric_names(&self) -> BTreeSet<String>;

    /// Whether this series is there.
    async fn has_metric(&self, series: &str) -> bool;

    /// The sum of a metric over all series that have these labels (`operator="a"`); 0 when there is none.
    async fn metric(&self, name: &str, labels: &[&str]) -> f64;
}

impl Observed for ServiceProcess {
    async fn readiness(&self) -> Option<(u16, Value)> {
        let (status, body) = self.get("/readyz").await?;
        Some((status, serde_json::from_str(&body).ok()?))
    }

    async fn metric_names(&self) -> BTreeSet<String> {
        let text = metrics(self).await;
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        types.map(ToOwned::to_owned).collect()
    }

    async fn has_metric(&self, series: &str) -> bool {
        metrics(self).await.lines().any(|line| line.starts_with(series))
    }

    async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = metrics(self).await;
        let series = text
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label)));
        series.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

async fn metrics(service: &ServiceProcess) -> String {
    let answer = service.get("/metrics").await.filter(|(status, _)| *status == 200);
    answer.unwrap_or_else(|| panic!("no metrics of {}", service.name())).1
}
