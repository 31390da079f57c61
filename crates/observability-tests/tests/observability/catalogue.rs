//! Every metric that a query may name, with its kind and labels.

use std::collections::{BTreeMap, BTreeSet};

use telemetry::names::{ALL, Kind};

use crate::{
    promql::{self, Query},
    rabbitmq, rules,
};

/// Counters of `process_*` (crate metrics-process) and of every scrape.
const OTHER_COUNTERS: [&str; 1] = ["process_cpu_seconds_total"];
/// Gauges of `process_*` and of every scrape.
const OTHER_GAUGES: [&str; 8] = [
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "scrape_duration_seconds",
    "up",
];
/// What Prometheus puts on everything it scrapes.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// What is known of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether `rate` and `increase` make sense, and nothing else does.
    pub(crate) counter: bool,
    pub(crate) labels: BTreeSet<String>,
}

/// The metrics by the names that queries use, so `_bucket`, `_sum` and `_count` for a histogram.
#[derive(Debug)]
pub(crate) struct Catalogue(BTreeMap<String, Known>);

impl Catalogue {
    /// Of the platform, RabbitMQ, Prometheus, and the recording rules.
    pub(crate) fn new() -> Self {
        let mut catalogue = Self(BTreeMap::new());
        for metric in ALL {
            match metric.kind {
                Kind::Counter => catalogue.scraped(metric.name, true, metric.labels),
                Kind::Gauge => catalogue.scraped(metric.name, false, metric.labels),
                Kind::Histogram => {
                    let with_le = [metric.labels, &["le"]].concat();
                    catalogue.scraped(&format!("{}_bucket", metric.name), true, &with_le);
                    catalogue.scraped(&format!("{}_sum", metric.name), true, metric.labels);
                    catalogue.scraped(&format!("{}_count", metric.name), true, metric.labels);
                }
            }
        }
        for (name, labels) in rabbitmq::COUNTERS {
            catalogue.scraped(name, true, labels);
        }
        for (name, labels) in rabbitmq::GAUGES {
            catalogue.scraped(name, false, labels);
        }
        for name in OTHER_COUNTERS {
            catalogue.scraped(name, true, &[]);
        }
        for name in OTHER_GAUGES {
            catalogue.scraped(name, false, &[]);
        }
        catalogue.scraped("ALERTS", false, &["alertname", "alertstate", "severity", "slo"]);
        catalogue.record();
        catalogue
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Known> {
        self.0.get(name)
    }

    fn scraped(&mut self, name: &str, counter: bool, labels: &[&str]) {
        let labels = labels.iter().chain(&TARGET_LABELS).map(|&label| label.to_owned()).collect();
        self.0.entry(name.to_owned()).or_insert(Known { counter, labels });
    }

    /// A recorded series has the labels its rule sets, those it groups by, and those of recorded series it is made of.
    fn record(&mut self) {
        for rule in rules::recorded() {
            let query = Query::parse(&rule.expr).unwrap_or_else(|error| panic!("{}: {error}", rule.expr));
            let mut labels: BTreeSet<String> = rule.labels.keys().cloned().chain(query.groupings()).collect();
            for name in query.names().filter(|name| promql::is_recorded(name)) {
                labels.extend(self.get(name).into_iter().flat_map(|known| known.labels.iter().cloned()));
            }
            let name = rule.record.expect("a recording rule");
            self.0.entry(name).or_insert(Known { counter: false, labels: BTreeSet::new() }).labels.extend(labels);
        }
    }
}
