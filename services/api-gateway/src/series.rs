//! The metrics of this service from the start: every series that is known by then, with 0.

use callbacks::OperatorSecrets;
use domain::{IdMatch, Lane, LedgerKind, ReceiptState};
use persistence::Query;
use telemetry::{
    exports::{start_at_zero, start_connections_at_zero},
    names::{self, label},
};

use crate::{authentication, backpressure::signal::Signal, endpoint::Endpoint, receipts::REFUSALS, routes::endpoints};

/// The database queries of no endpoint: those of keys, of who has endpoints, of the look at the backlog, and of readiness.
const QUERIES: [Query; 8] = [
    Query::CallbackCustomers,
    Query::KeyAdmin,
    Query::KeyFind,
    Query::KeyTouch,
    Query::OutboxPending,
    Query::OutboxPublished,
    Query::OutboxTurn,
    Query::Ping,
];

/// The answers that alerts are about; others appear when they are first given.
const STATUSES: [&str; 4] = ["200", "429", "500", "503"];

pub(crate) fn start(operators: &OperatorSecrets) {
    let queries = endpoints().iter().flat_map(Endpoint::queries).copied().chain(QUERIES);
    let queries: Vec<_> = queries.map(Query::as_str).collect();
    start_connections_at_zero(&queries);
    for endpoint in endpoints() {
        let labels: [(_, &[&str]); 3] =
            [(label::PATH, &[endpoint.path()]), (label::METHOD, &[endpoint.method()]), (label::STATUS, &STATUSES)];
        start_at_zero(names::HTTP_REQUESTS_TOTAL, &labels);
        start_at_zero(names::HTTP_REQUEST_DURATION_SECONDS, &labels);
    }
    start_at_zero(names::RATE_LIMITED_REQUESTS_TOTAL, &[(label::SCOPE, &["global", "key", "receipts", "user"])]);
    start_at_zero(names::RATE_LIMIT_TRACKED_CUSTOMERS, &[]);
    start_at_zero(names::AUTHENTICATIONS_TOTAL, &[(label::RESULT, &authentication::outcomes())]);
    start_at_zero(names::REQUESTS_UNAUTHENTICATED_TOTAL, &[]);
    let lanes = Lane::ALL.map(Lane::as_str);
    let signals = Signal::ALL.map(Signal::as_str);
    let labels: [(_, &[&str]); 2] = [(label::SIGNAL, &signals), (label::LANE, &lanes)];
    start_at_zero(names::BACKPRESSURE_REJECTIONS_TOTAL, &[]);
    start_at_zero(names::BACKPRESSURE_SIGNAL_REJECTIONS_TOTAL, &labels);
    start_at_zero(names::BACKPRESSURE_ACTIVE, &labels);
    start_at_zero(names::OUTBOX_PENDING_EVENTS, &[(label::LANE, &lanes)]);
    start_at_zero(names::OUTBOX_DRAIN_RATE, &[(label::LANE, &lanes)]);
    start_at_zero(names::CURRENT_OUTBOX_PENDING_EVENTS, &[]);
    start_at_zero(names::BATCH_SIZE, &[(label::LANE, &["accept", "receipts"])]);
    start_at_zero(
        names::LEDGER_CREDITS_TOTAL,
        &[(
            label::TYPE,
            &[LedgerKind::Deposit.as_str(), LedgerKind::Withdrawal.as_str(), LedgerKind::Corrective.as_str()],
        )],
    );
    start_receipts(operators);
}

fn start_receipts(operators: &OperatorSecrets) {
    let operators: Vec<_> = operators.names().collect();
    let states = ReceiptState::ALL.map(ReceiptState::as_str);
    start_at_zero(names::RECEIPTS_TOTAL, &[(label::OPERATOR, &operators), (label::STATE, &states)]);
    start_at_zero(names::RECEIPTS_REFUSED_TOTAL, &[(label::OPERATOR, &operators), (label::RESULT, &REFUSALS)]);
    start_at_zero(names::RECEIPT_DELAY_SECONDS, &[(label::OPERATOR, &operators)]);
    start_at_zero(names::RECEIPT_MATCHES_TOTAL, &[(label::HOW, &IdMatch::ALL.map(IdMatch::as_str))]);
    start_at_zero(names::RECEIPTS_CONFLICTING_TOTAL, &[]);
    start_at_zero(names::RECEIPTS_AFTER_REFUND_TOTAL, &[]);
}
