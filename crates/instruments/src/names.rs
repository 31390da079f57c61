//! Every metric of the platform: its name, kind, unit, labels, who exports it, and its meaning. One row each.
//!
//! Dashboards and alerts rely on these names; [`ALL`] is the table to check them against.

use metrics::Unit;

/// Names of labels. All take values from small closed sets, never from what a client sent.
pub mod label {
    /// Route pattern (`/messages/send`), never the raw URL.
    pub const PATH: &str = "path";
    /// HTTP method; `other` for methods that no route takes.
    pub const METHOD: &str = "method";
    /// HTTP status code, or name of an SMPP `command_status` (`ESME_RTHROTTLED`, `vendor`, `other`, and `generic_nack` for answers
    /// that are one).
    pub const STATUS: &str = "status";
    /// Which rate limit refused: `global`, `key` or `user`.
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
    /// Of pooled connections: all that are `open`, or those of them that are `idle`. Of receipts: what they tell, such as `delivered`.
    /// Of SMPP sessions: `bound`, `throttled`, `binding` or `waiting`.
    pub const STATE: &str = "state";
    /// `publisher` or `consumer`.
    pub const CONNECTION: &str = "connection";
    /// How a receipt's message was found: by the `same` id, or by the same number in other digits (`hex_dec`, `dec_hex`).
    pub const HOW: &str = "how";
    /// Why an SMPP session could not be made (`connect`, `tls`, `refused`, `not_smpp`), or ended (`closed`, `silent`, `unbound`, and
    /// again `refused`, `not_smpp`).
    pub const REASON: &str = "reason";
    /// What a backpressure decision rests on, such as `outbox_pending`.
    pub const SIGNAL: &str = "signal";
}

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

/// A process that exports a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// Every process, of itself.
    Process,
    /// Every process, of its connections.
    Connections,
    /// The gateway.
    Gateway,
    /// The relay.
    Relay,
    /// The worker.
    Worker,
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
    /// Who exports it.
    pub by: &'static [Exporter],
    /// What it means, in words.
    pub help: &'static str,
}

/// A row is a constant with the metric's name, and its place in [`ALL`].
macro_rules! metrics_table {
    ($($constant:ident: $name:literal, $kind:ident, $unit:ident, [$($label:ident),*], [$($by:ident),*], $help:literal;)*) => {
        $(#[doc = concat!($help, ".")] pub const $constant: &str = $name;)*

        /// Every metric of the platform.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$(label::$label),*],
            by: &[$(Exporter::$by),*],
            help: $help,
        }),*];
    };
}

metrics_table! {
    HTTP_REQUESTS_TOTAL: "http_requests_total", Counter, Count, [PATH, METHOD, STATUS], [Gateway], "HTTP requests answered";
    HTTP_REQUEST_DURATION_SECONDS: "http_request_duration_seconds", Histogram, Seconds, [PATH, METHOD, STATUS], [Gateway], "Time to answer an HTTP request";
    RATE_LIMITED_REQUESTS_TOTAL: "rate_limited_requests_total", Counter, Count, [SCOPE], [Gateway], "Requests refused by a rate limit";
    AUTHENTICATIONS_TOTAL: "authentications_total", Counter, Count, [RESULT], [Gateway], "Requests by how their API key was judged, those without one where none is needed left out";
    REQUESTS_UNAUTHENTICATED_TOTAL: "requests_unauthenticated_total", Counter, Count, [], [Gateway], "Requests without an API key that were answered because none is needed";
    BACKPRESSURE_REJECTIONS_TOTAL: "backpressure_rejections_total", Counter, Count, [], [Gateway], "Requests refused by backpressure";
    CURRENT_OUTBOX_PENDING_EVENTS: "current_outbox_pending_events", Gauge, Count, [], [Gateway, Relay], "Outbox events not yet published, without those of a kind that only a newer release knows";
    DB_QUERIES_TOTAL: "db_queries_total", Counter, Count, [QUERY, RESULT], [Connections], "Database queries run";
    DB_QUERY_DURATION_SECONDS: "db_query_duration_seconds", Histogram, Seconds, [QUERY], [Connections], "Time of a database query, waiting for a connection included";
    DB_TRANSACTION_RETRIES_TOTAL: "db_transaction_retries_total", Counter, Count, [], [Connections], "Transactions run again after a deadlock or a lock timeout";
    OPERATOR_CALLS_TOTAL: "operator_calls_total", Counter, Count, [OPERATOR, RESULT], [Worker], "Calls to telecom operators";
    OPERATOR_DURATION_SECONDS: "operator_duration_seconds", Histogram, Seconds, [OPERATOR], [Worker], "Time of a call to an operator";
    WORKER_EVENTS_TOTAL: "worker_events_total", Counter, Count, [QUEUE, RESULT], [Worker], "Messages handled by the worker";
    WORKER_EVENT_DURATION_SECONDS: "worker_event_duration_seconds", Histogram, Seconds, [QUEUE], [Worker], "Time the worker took for one message";
    OPERATOR_BREAKER_STATE: "operator_breaker_state", Gauge, Count, [OPERATOR], [Worker], "State of the circuit breaker: 0 closed, 1 half-open, 2 open";
    OUTBOX_OLDEST_AGE_SECONDS: "outbox_oldest_age_seconds", Gauge, Seconds, [LANE], [Relay], "Age of the oldest event not yet published";
    SMPP_SESSIONS: "smpp_sessions", Gauge, Count, [OPERATOR, STATE], [Worker], "SMPP sessions with operators: bound, throttled, binding, or waiting to bind again";
    SMPP_WINDOW_USED: "smpp_window_used", Gauge, Count, [OPERATOR], [Worker], "Parts of messages that an SMSC has not answered";
    SMPP_WINDOW_SIZE: "smpp_window_size", Gauge, Count, [OPERATOR], [Worker], "Parts of messages that an SMSC may leave unanswered, on the sessions that are bound";
    SMPP_SUBMIT_SECONDS: "smpp_submit_seconds", Histogram, Seconds, [OPERATOR], [Worker], "Time from writing a part of a message to the answer of the SMSC";
    SMPP_RESPONSES_TOTAL: "smpp_responses_total", Counter, Count, [OPERATOR, STATUS], [Worker], "Answers of SMSCs to parts of messages, by command_status";
    SMPP_RECONNECTS_TOTAL: "smpp_reconnects_total", Counter, Count, [OPERATOR, REASON], [Worker], "Sessions that ended or could not be made, by why";
    SMPP_BIND_FAILURES_TOTAL: "smpp_bind_failures_total", Counter, Count, [OPERATOR, STATUS], [Worker], "Binds that SMSCs refused, by command_status";
    SMPP_LATE_ANSWERS_TOTAL: "smpp_late_answers_total", Counter, Count, [OPERATOR], [Worker], "Parts that an SMSC accepted after nobody waited for its answer any more";
    SMPP_ANSWERS_WITHOUT_ID_TOTAL: "smpp_answers_without_id_total", Counter, Count, [OPERATOR], [Worker], "Parts that an SMSC accepted without an id, although receipts are expected: none can be matched";
    SMPP_MESSAGES_FROM_HANDSETS_TOTAL: "smpp_messages_from_handsets_total", Counter, Count, [OPERATOR], [Worker], "Messages from handsets that SMSCs sent, which are refused";
    SMPP_RECEIPTS_REFUSED_TOTAL: "smpp_receipts_refused_total", Counter, Count, [OPERATOR], [Worker], "Receipts of SMSCs without an id: nobody can know what they are about";
    SMPP_RECEIPTS_PUT_OFF_TOTAL: "smpp_receipts_put_off_total", Counter, Count, [OPERATOR], [Worker], "Receipts that were not stored in time: SMSCs are asked to send them again";
    SMPP_UNREADABLE_PDUS_TOTAL: "smpp_unreadable_pdus_total", Counter, Count, [OPERATOR], [Worker], "PDUs of SMSCs that cannot be read, and are left out";
    PARTIAL_SUBMITS_TOTAL: "partial_submits_total", Counter, Count, [OPERATOR], [Worker], "Messages of which an operator accepted some parts and rejected another: they are refunded";
    ACCEPT_TO_OPERATOR_SECONDS: "accept_to_operator_seconds", Histogram, Seconds, [TYPE], [Worker], "Time from accepting a message to handing it to an operator";
    BROKER_CONFIRM_DURATION_SECONDS: "broker_confirm_duration_seconds", Histogram, Seconds, [], [Relay], "Time from publishing to the confirm of the broker";
    BROKER_PUBLISHES_TOTAL: "broker_publishes_total", Counter, Count, [RESULT], [Relay], "Messages published, by how the broker answered";
    BROKER_CONNECTED: "broker_connected", Gauge, Count, [CONNECTION], [Connections], "1 while the connection to the broker is up, otherwise 0";
    BROKER_RECONNECTS_TOTAL: "broker_reconnects_total", Counter, Count, [], [Connections], "Times the connection to the broker was made anew";
    BATCH_SIZE: "batch_size", Histogram, Count, [LANE], [Gateway, Relay, Worker], "Items handled in one batch";
    DB_POOL_CONNECTIONS: "db_pool_connections", Gauge, Count, [STATE], [Connections], "Database connections in the pool";
    LEDGER_MISMATCHES: "ledger_mismatches", Gauge, Count, [], [Relay], "Users whose balance differs from the sum of their ledger";
    LEDGER_AUDITS_TOTAL: "ledger_audits_total", Counter, Count, [], [Relay], "Complete rounds of the ledger audit over all users";
    LEDGER_CREDITS_TOTAL: "ledger_credits_total", Counter, Count, [TYPE], [Gateway, Relay, Worker], "Credits written to the ledger, as positive numbers";
    RECIPIENTS_SETTLED_TOTAL: "recipients_settled_total", Counter, Count, [RESULT], [Relay, Worker], "Recipients by what became of them";
    RECIPIENTS_EXPIRED_TOTAL: "recipients_expired_total", Counter, Count, [], [Worker], "Recipients that no operator took in the time that their message had; they failed and were refunded";
    BACKPRESSURE_ACTIVE: "backpressure_active", Gauge, Count, [SIGNAL, LANE], [Gateway], "1 while this signal has messages of the lane refused, otherwise 0";
    BACKPRESSURE_SIGNAL_REJECTIONS_TOTAL: "backpressure_signal_rejections_total", Counter, Count, [SIGNAL, LANE], [Gateway], "Requests refused by backpressure, by the signal that had them refused";
    RATE_LIMIT_TRACKED_CUSTOMERS: "rate_limit_tracked_customers", Gauge, Count, [], [Gateway], "Customers whose recent requests the rate limit remembers";
    OUTBOX_PENDING_EVENTS: "outbox_pending_events", Gauge, Count, [LANE], [Gateway, Relay], "Outbox events not yet published, of one lane, without those of a kind that only a newer release knows";
    OUTBOX_DRAIN_RATE: "outbox_drain_rate", Gauge, CountPerSecond, [LANE], [Gateway], "Outbox events published a second, over the last seconds";
    OUTBOX_SCHEDULED_LAG_SECONDS: "outbox_scheduled_lag_seconds", Gauge, Seconds, [LANE], [Relay], "How long the oldest message whose time has come has waited to be promoted";
    QUEUE_MESSAGES: "queue_messages", Gauge, Count, [QUEUE], [Relay], "Messages that wait in a queue of the broker";
    RELAY_PAUSED: "relay_paused", Gauge, Count, [LANE], [Relay], "1 while the relay claims nothing of a lane because its queue is long enough";
    RECEIPTS_TOTAL: "receipts_total", Counter, Count, [OPERATOR, STATE], [Gateway, Worker], "Delivery receipts of operators, over HTTP at the gateway and over SMPP at the worker, each different one once";
    RECEIPTS_REFUSED_TOTAL: "receipts_refused_total", Counter, Count, [OPERATOR, RESULT], [Gateway], "Requests of operators with receipts that were not taken: unauthorized, stale or invalid";
    RECEIPT_MATCHES_TOTAL: "receipt_matches_total", Counter, Count, [HOW], [Gateway, Relay, Worker], "Delivery receipts whose message was found, by how their ids were the same";
    RECEIPT_DELAY_SECONDS: "receipt_delay_seconds", Histogram, Seconds, [OPERATOR], [Gateway, Worker], "Time from recording that an operator took a message to the receipt that told its end";
    RECEIPTS_CONFLICTING_TOTAL: "receipts_conflicting_total", Counter, Count, [], [Gateway, Relay, Worker], "Delivery receipts that told another end than one before them";
    RECEIPTS_AFTER_REFUND_TOTAL: "receipts_after_refund_total", Counter, Count, [], [Gateway, Relay, Worker], "Delivery receipts for messages that had failed and were refunded";
    RECEIPTS_MISSING_TOTAL: "receipts_missing_total", Counter, Count, [], [Relay], "Messages of which no receipt told the end in time";
    RECEIPTS_ORPHANED_TOTAL: "receipts_orphaned_total", Counter, Count, [], [Relay], "Delivery receipts whose message was not found within 72 hours";
    RECEIPTS_PARKED: "receipts_parked", Gauge, Count, [], [Relay], "Delivery receipts that wait for their message, up to 100,000";
    CALLBACK_ATTEMPTS_TOTAL: "callback_attempts_total", Counter, Count, [RESULT], [Relay], "Attempts to tell customers' endpoints: done, refused or unanswered";
    CALLBACK_DURATION_SECONDS: "callback_duration_seconds", Histogram, Seconds, [], [Relay], "Time of an attempt to tell a customer's endpoint";
    CALLBACK_ENDPOINTS_PAUSED_TOTAL: "callback_endpoints_paused_total", Counter, Count, [], [Relay], "Times that a customer's endpoint was let alone because it failed";
    CALLBACK_ENDPOINTS_DISABLED_TOTAL: "callback_endpoints_disabled_total", Counter, Count, [], [Relay], "Endpoints of customers that were disabled because they failed for days or are gone";
    CALLBACKS_DUE: "callbacks_due", Gauge, Count, [], [Relay], "Callbacks that are due, counted each minute up to 10,000; those of paused and disabled endpoints too";
    CALLBACK_LAG_SECONDS: "callback_lag_seconds", Gauge, Seconds, [STATE], [Relay], "Age of the oldest callback that is due, by how its endpoint fares: working, failing or disabled";
    TOKIO_WORKERS: "tokio_workers", Gauge, Count, [], [Process], "Threads of the async runtime";
    TOKIO_ALIVE_TASKS: "tokio_alive_tasks", Gauge, Count, [], [Process], "Tasks of the async runtime that have not ended";
    TOKIO_GLOBAL_QUEUE_DEPTH: "tokio_global_queue_depth", Gauge, Count, [], [Process], "Tasks that wait in the shared queue of the async runtime";
    TOKIO_BUSY_RATIO: "tokio_busy_ratio", Gauge, Count, [], [Process], "Share of time the threads of the async runtime were busy, 0 to 1";
}

/// Tells the recorder of this process (or the local one) what each metric means.
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

    use super::*;

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
