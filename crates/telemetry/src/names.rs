//! Every metric of the platform: its name, kind, unit, labels and meaning.
//!
//! Dashboards and alerts rely on these names; [`ALL`] is the table to check them against.

use metrics::Unit;

/// Names of labels. All take values from small closed sets, never from what a client sent.
pub mod label {
    /// Route pattern (`/messages/send`), never the raw URL.
    pub const PATH: &str = "path";
    /// HTTP method; `other` for methods that no route takes.
    pub const METHOD: &str = "method";
    /// HTTP status code.
    pub const STATUS: &str = "status";
    /// Which rate limit refused: `global` or `user`.
    pub const SCOPE: &str = "scope";
    /// Name of a database query.
    pub const QUERY: &str = "query";
    /// How it ended; the values belong to the metric.
    pub const RESULT: &str = "result";
    /// Name of a telecom operator, as configured.
    pub const OPERATOR: &str = "operator";
    /// Name of a queue.
    pub const QUEUE: &str = "queue";
    /// Name of a lane of work, such as `express` or `normal`.
    pub const LANE: &str = "lane";
    /// Type of a message (`express` or `normal`) or of a ledger entry (`deposit`, `withdrawal` or `corrective`).
    pub const TYPE: &str = "type";
    /// Which pooled connections: all that are `open`, or those of them that are `idle`.
    pub const STATE: &str = "state";
    /// `publisher` or `consumer`.
    pub const CONNECTION: &str = "connection";
    /// What a backpressure decision rests on, such as `outbox_pending`.
    pub const SIGNAL: &str = "signal";
}

/// HTTP requests answered.
pub const HTTP_REQUESTS_TOTAL: &str = "http_requests_total";
/// Time to answer an HTTP request, in seconds.
pub const HTTP_REQUEST_DURATION_SECONDS: &str = "http_request_duration_seconds";
/// Requests refused by a rate limit.
pub const RATE_LIMITED_REQUESTS_TOTAL: &str = "rate_limited_requests_total";
/// Requests refused by backpressure.
pub const BACKPRESSURE_REJECTIONS_TOTAL: &str = "backpressure_rejections_total";
/// Outbox events not yet published.
pub const CURRENT_OUTBOX_PENDING_EVENTS: &str = "current_outbox_pending_events";
/// Database queries run.
pub const DB_QUERIES_TOTAL: &str = "db_queries_total";
/// Time of a database query, in seconds.
pub const DB_QUERY_DURATION_SECONDS: &str = "db_query_duration_seconds";
/// Transactions run again after a deadlock or a lock timeout.
pub const DB_TRANSACTION_RETRIES_TOTAL: &str = "db_transaction_retries_total";
/// Calls to operators.
pub const OPERATOR_CALLS_TOTAL: &str = "operator_calls_total";
/// Time of a call to an operator, in seconds.
pub const OPERATOR_DURATION_SECONDS: &str = "operator_duration_seconds";
/// Messages handled by the worker.
pub const WORKER_EVENTS_TOTAL: &str = "worker_events_total";
/// Time the worker took for one message, in seconds.
pub const WORKER_EVENT_DURATION_SECONDS: &str = "worker_event_duration_seconds";

/// State of an operator's circuit breaker: 0 closed, 1 half-open, 2 open.
pub const OPERATOR_BREAKER_STATE: &str = "operator_breaker_state";
/// Age of the oldest event not yet published, in seconds; 0 when there is none.
pub const OUTBOX_OLDEST_AGE_SECONDS: &str = "outbox_oldest_age_seconds";
/// Time from accepting a message to handing it to an operator, in seconds.
pub const ACCEPT_TO_OPERATOR_SECONDS: &str = "accept_to_operator_seconds";
/// Time from publishing to the broker's confirm, in seconds.
pub const BROKER_CONFIRM_DURATION_SECONDS: &str = "broker_confirm_duration_seconds";
/// Messages published, by how the broker answered.
pub const BROKER_PUBLISHES_TOTAL: &str = "broker_publishes_total";
/// 1 while the connection to the broker is up, otherwise 0.
pub const BROKER_CONNECTED: &str = "broker_connected";
/// Times the connection to the broker was made anew.
pub const BROKER_RECONNECTS_TOTAL: &str = "broker_reconnects_total";
/// Items handled in one batch.
pub const BATCH_SIZE: &str = "batch_size";
/// Database connections in the pool.
pub const DB_POOL_CONNECTIONS: &str = "db_pool_connections";
/// Users whose balance differs from the sum of their ledger; anything but 0 is an alarm.
pub const LEDGER_MISMATCHES: &str = "ledger_mismatches";
/// Complete rounds of the ledger audit over all users.
pub const LEDGER_AUDITS_TOTAL: &str = "ledger_audits_total";
/// Credits written to the ledger, as positive numbers.
pub const LEDGER_CREDITS_TOTAL: &str = "ledger_credits_total";
/// Recipients by what became of them: `done`, `failed` or `deferred`.
pub const RECIPIENTS_SETTLED_TOTAL: &str = "recipients_settled_total";
/// 1 while this signal has the gateway refuse messages of the lane, otherwise 0.
pub const BACKPRESSURE_ACTIVE: &str = "backpressure_active";
/// Requests refused by backpressure, by the signal that had them refused.
pub const BACKPRESSURE_SIGNAL_REJECTIONS_TOTAL: &str = "backpressure_signal_rejections_total";
/// Customers whose recent requests the rate limit remembers.
pub const RATE_LIMIT_TRACKED_CUSTOMERS: &str = "rate_limit_tracked_customers";
/// Outbox events not yet published, of one lane.
pub const OUTBOX_PENDING_EVENTS: &str = "outbox_pending_events";
/// Outbox events published a second, over the last seconds.
pub const OUTBOX_DRAIN_RATE: &str = "outbox_drain_rate";
/// Messages that wait in a queue of the broker, as the relay last saw it.
pub const QUEUE_MESSAGES: &str = "queue_messages";
/// 1 while the relay claims nothing of a lane because its queue is long enough, otherwise 0.
pub const RELAY_PAUSED: &str = "relay_paused";
/// Threads of the async runtime.
pub const TOKIO_WORKERS: &str = "tokio_workers";
/// Tasks of the async runtime that have not ended.
pub const TOKIO_ALIVE_TASKS: &str = "tokio_alive_tasks";
/// Tasks that wait in the async runtime's shared queue.
pub const TOKIO_GLOBAL_QUEUE_DEPTH: &str = "tokio_global_queue_depth";
/// Share of time the async runtime's threads were busy, 0 to 1.
pub const TOKIO_BUSY_RATIO: &str = "tokio_busy_ratio";

/// What a metric does with its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram,
}

/// One row of the table of metrics.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name it is exported under.
    pub name: &'static str,
    /// What it does with its values.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means, in words.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, help }
}

const fn gauge(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, labels, help }
}

const fn histogram(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, unit, labels, help }
}

/// Every metric of the platform.
pub const ALL: &[Metric] = &[
    counter(HTTP_REQUESTS_TOTAL, &[label::PATH, label::METHOD, label::STATUS], "HTTP requests answered"),
    histogram(
        HTTP_REQUEST_DURATION_SECONDS,
        Unit::Seconds,
        &[label::PATH, label::METHOD, label::STATUS],
        "Time to answer an HTTP request",
    ),
    counter(RATE_LIMITED_REQUESTS_TOTAL, &[label::SCOPE], "Requests refused by a rate limit"),
    counter(BACKPRESSURE_REJECTIONS_TOTAL, &[], "Requests refused by backpressure"),
    gauge(CURRENT_OUTBOX_PENDING_EVENTS, Unit::Count, &[], "Outbox events not yet published"),
    counter(DB_QUERIES_TOTAL, &[label::QUERY, label::RESULT], "Database queries run"),
    histogram(
        DB_QUERY_DURATION_SECONDS,
        Unit::Seconds,
        &[label::QUERY],
        "Time of a database query, waiting for a connection included",
    ),
    counter(DB_TRANSACTION_RETRIES_TOTAL, &[], "Transactions run again after a deadlock or a lock timeout"),
    counter(OPERATOR_CALLS_TOTAL, &[label::OPERATOR, label::RESULT], "Calls to telecom operators"),
    histogram(OPERATOR_DURATION_SECONDS, Unit::Seconds, &[label::OPERATOR], "Time of a call to an operator"),
    counter(WORKER_EVENTS_TOTAL, &[label::QUEUE, label::RESULT], "Messages handled by the worker"),
    histogram(WORKER_EVENT_DURATION_SECONDS, Unit::Seconds, &[label::QUEUE], "Time the worker took for one message"),
    gauge(
        OPERATOR_BREAKER_STATE,
        Unit::Count,
        &[label::OPERATOR],
        "State of the circuit breaker: 0 closed, 1 half-open, 2 open",
    ),
    gauge(OUTBOX_OLDEST_AGE_SECONDS, Unit::Seconds, &[label::LANE], "Age of the oldest event not yet published"),
    histogram(
        ACCEPT_TO_OPERATOR_SECONDS,
        Unit::Seconds,
        &[label::TYPE],
        "Time from accepting a message to handing it to an operator",
    ),
    histogram(BROKER_CONFIRM_DURATION_SECONDS, Unit::Seconds, &[], "Time from publishing to the confirm of the broker"),
    counter(BROKER_PUBLISHES_TOTAL, &[label::RESULT], "Messages published, by how the broker answered"),
    gauge(
        BROKER_CONNECTED,
        Unit::Count,
        &[label::CONNECTION],
        "1 while the connection to the broker is up, otherwise 0",
    ),
    counter(BROKER_RECONNECTS_TOTAL, &[], "Times the connection to the broker was made anew"),
    histogram(BATCH_SIZE, Unit::Count, &[label::LANE], "Items handled in one batch"),
    gauge(DB_POOL_CONNECTIONS, Unit::Count, &[label::STATE], "Database connections in the pool"),
    gauge(LEDGER_MISMATCHES, Unit::Count, &[], "Users whose balance differs from the sum of their ledger"),
    counter(LEDGER_AUDITS_TOTAL, &[], "Complete rounds of the ledger audit over all users"),
    counter(LEDGER_CREDITS_TOTAL, &[label::TYPE], "Credits written to the ledger, as positive numbers"),
    counter(RECIPIENTS_SETTLED_TOTAL, &[label::RESULT], "Recipients by what became of them"),
    gauge(
        BACKPRESSURE_ACTIVE,
        Unit::Count,
        &[label::SIGNAL, label::LANE],
        "1 while this signal has messages of the lane refused, otherwise 0",
    ),
    counter(
        BACKPRESSURE_SIGNAL_REJECTIONS_TOTAL,
        &[label::SIGNAL, label::LANE],
        "Requests refused by backpressure, by the signal that had them refused",
    ),
    gauge(RATE_LIMIT_TRACKED_CUSTOMERS, Unit::Count, &[], "Customers whose recent requests the rate limit remembers"),
    gauge(OUTBOX_PENDING_EVENTS, Unit::Count, &[label::LANE], "Outbox events not yet published, of one lane"),
    gauge(
        OUTBOX_DRAIN_RATE,
        Unit::CountPerSecond,
        &[label::LANE],
        "Outbox events published a second, over the last seconds",
    ),
    gauge(QUEUE_MESSAGES, Unit::Count, &[label::QUEUE], "Messages that wait in a queue of the broker"),
    gauge(
        RELAY_PAUSED,
        Unit::Count,
        &[label::LANE],
        "1 while the relay claims nothing of a lane because its queue is long enough",
    ),
    gauge(TOKIO_WORKERS, Unit::Count, &[], "Threads of the async runtime"),
    gauge(TOKIO_ALIVE_TASKS, Unit::Count, &[], "Tasks of the async runtime that have not ended"),
    gauge(TOKIO_GLOBAL_QUEUE_DEPTH, Unit::Count, &[], "Tasks that wait in the shared queue of the async runtime"),
    gauge(TOKIO_BUSY_RATIO, Unit::Count, &[], "Share of time the threads of the async runtime were busy, 0 to 1"),
];

/// Tells the recorder of this process (or the local one) what each metric means. [`init`](crate::init) has done it.
pub fn describe() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use metrics::{Label, Recorder as _};

    use super::*;

    #[test]
    fn every_metric_is_rendered_under_its_name_with_help_and_labels() {
        const META: metrics::Metadata<'_> = metrics::Metadata::new("test", metrics::Level::INFO, None);
        let (recorder, handle) = crate::recorder();
        metrics::with_local_recorder(&recorder, describe);
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

    #[test]
    fn names_are_unique_and_tell_kind_and_unit() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_seconds"), metric.unit == Unit::Seconds, "{}", metric.name);
        }
    }
}
