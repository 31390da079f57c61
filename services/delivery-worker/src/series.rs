//! The metrics of this service: what only it counts, and every series that is known from the start, with 0.

use broker::Topology;
use callbacks::OperatorSecrets;
use domain::{IdMatch, LedgerKind, MessageType, ReceiptState};
use operators::{OperatorName, Operators};
use persistence::{LateAnswer, Outcome, Query, Said, Settlement};
use telemetry::{
    exports::{start_at_zero, start_connections_at_zero},
    names::{self, label},
};

/// The database queries that the worker makes.
const QUERIES: [Query; 8] = [
    Query::BeginSending,
    Query::CallbackCustomers,
    Query::Defer,
    Query::Ping,
    Query::ReceiptsTake,
    Query::Settle,
    Query::SettleLate,
    Query::WriteStates,
];

/// The operators' own series exist from when the operators are built.
pub(crate) fn start(topology: &Topology, reporting: &OperatorSecrets, operators: &Operators) {
    start_connections_at_zero(&QUERIES.map(Query::as_str));
    let queues = topology.queues();
    let results = ["ok", "requeued", "dead_letter", "malformed"];
    start_at_zero(names::WORKER_EVENTS_TOTAL, &[(label::QUEUE, &queues), (label::RESULT, &results)]);
    start_at_zero(names::WORKER_EVENT_DURATION_SECONDS, &[(label::QUEUE, &queues)]);
    let types = MessageType::ALL.map(MessageType::as_str);
    start_at_zero(names::ACCEPT_TO_OPERATOR_SECONDS, &[(label::TYPE, &types)]);
    start_at_zero(names::RECIPIENTS_EXPIRED_TOTAL, &[]);
    start_at_zero(names::BATCH_SIZE, &[(label::LANE, &["states"])]);
    start_at_zero(names::RECIPIENTS_SETTLED_TOTAL, &[(label::RESULT, &["done", "failed", "deferred"])]);
    let on_sessions: Vec<_> = operators
        .sessions()
        .map(|(name, _)| name)
        .filter(|name| operators.reports(name))
        .map(OperatorName::as_str)
        .collect();
    let states = ReceiptState::ALL.map(ReceiptState::as_str);
    start_at_zero(names::RECEIPTS_TOTAL, &[(label::OPERATOR, &on_sessions), (label::STATE, &states)]);
    let reporting: Vec<_> = reporting.names().chain(on_sessions).collect();
    start_at_zero(names::RECEIPT_DELAY_SECONDS, &[(label::OPERATOR, &reporting)]);
    start_at_zero(names::RECEIPT_MATCHES_TOTAL, &[(label::HOW, &IdMatch::ALL.map(IdMatch::as_str))]);
    start_at_zero(names::RECEIPTS_CONFLICTING_TOTAL, &[]);
    start_at_zero(names::RECEIPTS_AFTER_REFUND_TOTAL, &[]);
    start_at_zero(names::LEDGER_CREDITS_TOTAL, &[(label::TYPE, &[LedgerKind::Corrective.as_str()])]);
}

/// Counts outcomes that were recorded. Where the answer of the commit was lost, they are recorded and not counted.
pub(crate) fn settled(settlements: &[Settlement], recorded: &[bool]) {
    let (mut done, mut failed) = (0, 0);
    for (settlement, _) in settlements.iter().zip(recorded).filter(|(_, recorded)| **recorded) {
        match settlement.outcome() {
            Outcome::Done { .. } | Outcome::NeverKnown => done += 1,
            Outcome::Failed { .. } => failed += 1,
        }
    }
    count("done", done);
    count("failed", failed);
}

/// Counts what operators said after nobody waited for that any more.
pub(crate) fn settled_late(answers: &[LateAnswer], recorded: &[bool]) {
    let of = |is_end: fn(&Said) -> bool| {
        answers.iter().zip(recorded).filter(|(answer, recorded)| **recorded && is_end(&answer.said)).count() as u64
    };
    count("done", of(|said| matches!(said, Said::Accepted(_))));
    count("failed", of(|said| *said == Said::Refused));
}

/// Counts recipients that were not sent in time: they failed.
pub(crate) fn expired(recipients: usize) {
    count("failed", recipients as u64);
    metrics::counter!(names::RECIPIENTS_EXPIRED_TOTAL).increment(recipients as u64);
}

/// Counts recipients that the outbox will offer again.
pub(crate) fn deferred(recipients: usize) {
    count("deferred", recipients as u64);
}

fn count(result: &'static str, recipients: u64) {
    if recipients > 0 {
        metrics::counter!(names::RECIPIENTS_SETTLED_TOTAL, label::RESULT => result).increment(recipients);
    }
}
