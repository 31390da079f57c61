//! Which process exports which metric, and how a metric comes to exist before anything has happened.
//!
//! A rate or an alert on a series that appears with its first event misses that event. So every process makes what it
//! exports exist from the start, with 0, for all values of labels that are known by then.

use metrics::Label;

use crate::names::{
    ALL, BROKER_CONNECTED, BROKER_RECONNECTS_TOTAL, DB_POOL_CONNECTIONS, DB_QUERIES_TOTAL, DB_QUERY_DURATION_SECONDS,
    DB_TRANSACTION_RETRIES_TOTAL, Exporter, Kind, label,
};

/// Of every process, beside [`Exporter::Process`]: described by the library that reads them.
const READ_BY_THE_LIBRARY: [&str; 8] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
];

/// The names of the metrics of this exporter. Those of [`Exporter::Connections`] are made to exist by
/// [`start_connections_at_zero`].
pub fn of(exporter: Exporter) -> Vec<&'static str> {
    let rows = ALL.iter().filter(|metric| metric.by.contains(&exporter)).map(|metric| metric.name);
    let read = READ_BY_THE_LIBRARY.into_iter().filter(|_| exporter == Exporter::Process);
    rows.chain(read).collect()
}

/// Makes the series of `name` exist, with 0, for every combination of these values of its labels. What a series has
/// counted already stays.
///
/// # Panics
/// When `name` is not in the table of metrics, or `labels` are not its labels.
pub fn start_at_zero(name: &'static str, labels: &[(&'static str, &[&str])]) {
    let metric = ALL.iter().find(|metric| metric.name == name).expect("only metrics of the table are exported");
    assert!(labels.iter().map(|(label, _)| label).eq(metric.labels), "the labels of {name} are {:?}", metric.labels);
    for series in combinations(labels) {
        match metric.kind {
            Kind::Counter => metrics::counter!(name, series).increment(0),
            Kind::Gauge => metrics::gauge!(name, series).increment(0.0),
            // A histogram is rendered once it is registered.
            Kind::Histogram => drop(metrics::histogram!(name, series)),
        }
    }
}

/// As [`start_at_zero`], for what every process with a database and a broker exports. `queries` are the names of the
/// database queries that it makes.
pub fn start_connections_at_zero(queries: &[&str]) {
    start_at_zero(DB_QUERIES_TOTAL, &[(label::QUERY, queries), (label::RESULT, &["ok", "error"])]);
    start_at_zero(DB_QUERY_DURATION_SECONDS, &[(label::QUERY, queries)]);
    start_at_zero(DB_TRANSACTION_RETRIES_TOTAL, &[]);
    start_at_zero(DB_POOL_CONNECTIONS, &[(label::STATE, &["open", "idle"])]);
    start_at_zero(BROKER_CONNECTED, &[(label::CONNECTION, &["publisher", "consumer"])]);
    start_at_zero(BROKER_RECONNECTS_TOTAL, &[]);
}

fn combinations(labels: &[(&'static str, &[&str])]) -> Vec<Vec<Label>> {
    let mut all = vec![Vec::new()];
    for (label, values) in labels {
        let with = |series: &Vec<Label>, value: &str| {
            let mut series = series.clone();
            series.push(Label::new(*label, value.to_owned()));
            series
        };
        all = all.iter().flat_map(|series| values.iter().map(move |value| with(series, value))).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use metrics::Recorder as _;

    use super::*;
    use crate::names::{self, BATCH_SIZE, LEDGER_AUDITS_TOTAL, LEDGER_MISMATCHES, WORKER_EVENTS_TOTAL};

    fn recorded(record: impl FnOnce()) -> String {
        let (recorder, handle) = crate::recorder();
        metrics::with_local_recorder(&recorder, record);
        handle.render()
    }

    #[test]
    fn every_combination_of_labels_exists_with_zero() {
        let text = recorded(|| {
            start_at_zero(WORKER_EVENTS_TOTAL, &[(label::QUEUE, &["a", "b"]), (label::RESULT, &["ok", "requeued"])]);
            start_at_zero(BATCH_SIZE, &[(label::LANE, &["accept"])]);
            start_at_zero(LEDGER_MISMATCHES, &[]);
        });
        for queue in ["a", "b"] {
            for result in ["ok", "requeued"] {
                let series = format!(r#"worker_events_total{{queue="{queue}",result="{result}"}} 0"#);
                assert!(text.contains(&series), "{series} in {text}");
            }
        }
        assert!(text.contains(r#"batch_size_count{lane="accept"} 0"#), "{text}");
        assert!(text.contains(r#"batch_size_bucket{lane="accept",le="+Inf"} 0"#), "{text}");
        assert!(text.contains("ledger_mismatches 0"), "{text}");
    }

    #[test]
    fn what_was_counted_before_stays() {
        let text = recorded(|| {
            metrics::counter!(LEDGER_AUDITS_TOTAL).increment(3);
            metrics::gauge!(BROKER_CONNECTED, label::CONNECTION => "publisher").set(1.0);
            start_at_zero(LEDGER_AUDITS_TOTAL, &[]);
            start_connections_at_zero(&["ping"]);
        });
        assert!(text.contains("ledger_audits_total 3"), "{text}");
        assert!(text.contains(r#"broker_connected{connection="publisher"} 1"#), "{text}");
        assert!(text.contains(r#"db_queries_total{query="ping",result="error"} 0"#), "{text}");
    }

    #[test]
    fn the_connections_of_the_table_are_those_that_start() {
        let text = recorded(|| start_connections_at_zero(&["ping"]));
        let connections = of(Exporter::Connections);
        for name in &connections {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name} in {text}");
        }
        assert_eq!(text.matches("# TYPE ").count(), connections.len(), "{text}");
    }

    #[test]
    #[should_panic(expected = "the labels of batch_size are")]
    fn a_label_that_the_metric_lacks_is_a_mistake() {
        recorded(|| start_at_zero(BATCH_SIZE, &[(label::QUEUE, &["a"])]));
    }

    #[test]
    fn every_metric_is_rendered_under_its_name_with_help_and_labels() {
        const META: metrics::Metadata<'_> = metrics::Metadata::new("test", metrics::Level::INFO, None);
        let (recorder, handle) = crate::recorder();
        metrics::with_local_recorder(&recorder, names::describe);
        for metric in ALL {
            let labels: Vec<_> = metric.labels.iter().map(|label| Label::from_static_parts(label, "x")).collect();
            let key = metrics::Key::from_parts(metric.name, labels);
            match metric.kind {
                Kind::Counter => recorder.register_counter(&key, &META).increment(1),
                Kind::Gauge => recorder.register_gauge(&key, &META).set(1.0),
                Kind::Histogram => recorder.register_histogram(&key, &META).record(1.0),
            }
        }
        let text = handle.render();
        for metric in ALL {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{}: {text}", metric.name);
            assert!(text.contains(&format!("# TYPE {} {kind}", metric.name)), "{}: {text}", metric.name);
            for label in metric.labels {
                assert!(text.contains(&format!(r#"{label}="x""#)), "{}: {text}", metric.name);
            }
        }
    }
}
