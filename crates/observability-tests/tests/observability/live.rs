//! Every panel's query on a real Prometheus that scrapes the real services under a little load.

mod http;
mod load;
mod platform;
mod prometheus;

use std::time::Duration;

use test_support::wait_until;

use crate::{
    grafana::{Target, dashboards},
    queries::fill_in,
    rabbitmq, rules,
};
use load::Load;
use platform::Platform;
use prometheus::{Prometheus, Series};

/// From the start of the load until every panel has shown something. Usually it is a matter of seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// One query of a panel.
struct Shown {
    place: String,
    query: String,
    legend: String,
}

impl Shown {
    fn new(dashboard: &str, panel: &str, target: &Target) -> Self {
        let place = format!("{dashboard} / {panel} / {}", target.ref_id);
        Self { place, query: fill_in(&target.expr, "15s", "2m"), legend: target.legend_format.clone() }
    }

    /// Only with numbers, and with every label that the legend shows; the 0 that stands for "nothing of the kind" has none.
    fn is_shown_by(&self, series: &[Series]) -> bool {
        if self.query.ends_with("or vector(0)") {
            return series.iter().any(|series| !series.value.is_nan());
        }
        let labels: Vec<_> =
            self.legend.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim())).collect();
        series.iter().any(|series| !series.value.is_nan() && labels.iter().all(|label| series.has_label(label)))
    }
}

fn panels() -> Vec<Shown> {
    let dashboards = dashboards();
    let targets = dashboards.iter().flat_map(|dashboard| {
        let of_panel = |panel: crate::grafana::View<'_>| {
            panel.targets.iter().map(|target| Shown::new(&dashboard.title, panel.title, target)).collect::<Vec<_>>()
        };
        dashboard.views().flat_map(of_panel).collect::<Vec<_>>()
    });
    targets.collect()
}

/// Queries that have a value as soon as the metric exists.
fn metrics() -> Vec<Shown> {
    let of_rabbitmq = rabbitmq::COUNTERS.iter().chain(&rabbitmq::GAUGES).map(|(name, labels)| {
        let legend = labels.iter().map(|label| format!("{{{{{label}}}}}")).collect::<Vec<_>>().concat();
        Shown { place: "RabbitMQ".to_owned(), query: (*name).to_owned(), legend }
    });
    let of_rules = rules::recorded().into_iter().filter_map(|rule| {
        let name = rule.record?;
        Some(Shown { place: "recorded".to_owned(), query: name, legend: "{{slo}}".to_owned() })
    });
    of_rabbitmq.chain(of_rules).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_data_under_load() {
    let mut platform = Platform::start().await;
    let prometheus = Prometheus::start(&platform).await;
    let load = Load::start(&platform);
    load::provoke_refusals(&mut platform).await;

    let mut waiting: Vec<Shown> = panels().into_iter().chain(metrics()).collect();
    assert!(waiting.len() > 100, "only {} queries", waiting.len());
    let everything = async {
        while !waiting.is_empty() {
            let mut still = Vec::new();
            for shown in std::mem::take(&mut waiting) {
                let series =
                    prometheus.query(&shown.query).await.unwrap_or_else(|error| panic!("{}: {error}", shown.query));
                if !shown.is_shown_by(&series) {
                    still.push(shown);
                }
            }
            waiting = still;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, everything).await;
    let empty: Vec<_> = waiting.iter().map(|shown| format!("{}: {}", shown.place, shown.query)).collect();
    assert!(in_time.is_ok(), "no data for {} queries:\n{}", empty.len(), empty.join("\n"));

    wait_until(PATIENCE, "healthy rules", async || prometheus.unhealthy_rules().await.is_empty().then_some(())).await;
    load.stop().await;
    platform.stop().await;
}
