//! The metrics of this service from the start: every series that is known by then, with 0.

use domain::Lane;
use telemetry::{
    exports::{start_at_zero, start_connections_at_zero},
    names::{self, label},
};

use crate::backpressure::signal::Signal;

/// The database queries that the gateway makes.
const QUERIES: [&str; 8] =
    ["accept", "account", "history", "outbox_pending", "outbox_published", "outbox_turn", "ping", "top_up"];

/// The routes of the API, with their methods.
const ROUTES: [(&str, &str); 4] =
    [("/messages/send", "POST"), ("/messages/history", "GET"), ("/balance", "GET"), ("/balance/add", "POST")];

/// The answers that alerts are about; others appear when they are first given.
const STATUSES: [&str; 4] = ["200", "429", "500", "503"];

pub(crate) fn start() {
    start_connections_at_zero(&QUERIES);
    for (path, method) in ROUTES {
        let labels: [(_, &[&str]); 3] =
            [(label::PATH, &[path]), (label::METHOD, &[method]), (label::STATUS, &STATUSES)];
        start_at_zero(names::HTTP_REQUESTS_TOTAL, &labels);
        start_at_zero(names::HTTP_REQUEST_DURATION_SECONDS, &labels);
    }
    start_at_zero(names::RATE_LIMITED_REQUESTS_TOTAL, &[(label::SCOPE, &["global", "user"])]);
    start_at_zero(names::RATE_LIMIT_TRACKED_CUSTOMERS, &[]);
    let lanes = Lane::ALL.map(Lane::as_str);
    let signals = Signal::ALL.map(Signal::as_str);
    let labels: [(_, &[&str]); 2] = [(label::SIGNAL, &signals), (label::LANE, &lanes)];
    start_at_zero(names::BACKPRESSURE_REJECTIONS_TOTAL, &[]);
    start_at_zero(names::BACKPRESSURE_SIGNAL_REJECTIONS_TOTAL, &labels);
    start_at_zero(names::BACKPRESSURE_ACTIVE, &labels);
    start_at_zero(names::OUTBOX_PENDING_EVENTS, &[(label::LANE, &lanes)]);
    start_at_zero(names::OUTBOX_DRAIN_RATE, &[(label::LANE, &lanes)]);
    start_at_zero(names::CURRENT_OUTBOX_PENDING_EVENTS, &[]);
    start_at_zero(names::BATCH_SIZE, &[(label::LANE, &["accept"])]);
    start_at_zero(names::LEDGER_CREDITS_TOTAL, &[(label::TYPE, &["deposit", "withdrawal"])]);
}
