//! The metrics of this service from the start: every series that is known by then, with 0.

use broker::{Published, Topology};
use domain::{IdMatch, Lane, LedgerKind};
use persistence::Query;
use telemetry::{
    exports::{start_at_zero, start_connections_at_zero},
    names::{self, label},
};

/// The database queries that the relay makes.
const QUERIES: [Query; 33] = [
    Query::CallbackAny,
    Query::CallbackClaim,
    Query::CallbackCount,
    Query::CallbackCustomers,
    Query::CallbackDue,
    Query::CallbackExpire,
    Query::CallbackLag,
    Query::CallbackPurge,
    Query::CallbackRecord,
    Query::CallbackRescue,
    Query::IdempotencyPurge,
    Query::LedgerAudit,
    Query::LedgerAuditNext,
    Query::OutboxClaim,
    Query::OutboxFail,
    Query::OutboxOldest,
    Query::OutboxPeek,
    Query::OutboxPending,
    Query::OutboxProcessed,
    Query::OutboxPromote,
    Query::OutboxPurge,
    Query::OutboxPutOff,
    Query::OutboxRelease,
    Query::OutboxRepublish,
    Query::OutboxRescue,
    Query::OutboxRetry,
    Query::OutboxSchedule,
    Query::Ping,
    Query::ReceiptsGiveUp,
    Query::ReceiptsJoin,
    Query::ReceiptsOrphan,
    Query::ReceiptsParked,
    Query::ReceiptsPurge,
];

pub(crate) fn start(topology: Option<&Topology>) {
    start_connections_at_zero(&QUERIES.map(Query::as_str));
    start_at_zero(names::CURRENT_OUTBOX_PENDING_EVENTS, &[]);
    let lanes = Lane::ALL.map(Lane::as_str);
    start_at_zero(names::OUTBOX_PENDING_EVENTS, &[(label::LANE, &lanes)]);
    start_at_zero(names::OUTBOX_OLDEST_AGE_SECONDS, &[(label::LANE, &lanes)]);
    start_at_zero(names::OUTBOX_SCHEDULED_LAG_SECONDS, &[(label::LANE, &lanes)]);
    if let Some(topology) = topology {
        start_at_zero(names::QUEUE_MESSAGES, &[(label::QUEUE, &topology.queues())]);
    }
    start_at_zero(names::RELAY_PAUSED, &[(label::LANE, &lanes)]);
    start_at_zero(names::BROKER_PUBLISHES_TOTAL, &[(label::RESULT, &Published::RESULTS)]);
    start_at_zero(names::BROKER_CONFIRM_DURATION_SECONDS, &[]);
    start_at_zero(names::BATCH_SIZE, &[(label::LANE, &["relay_express", "relay_normal"])]);
    start_at_zero(names::LEDGER_MISMATCHES, &[]);
    start_at_zero(names::LEDGER_AUDITS_TOTAL, &[]);
    start_at_zero(names::LEDGER_CREDITS_TOTAL, &[(label::TYPE, &[LedgerKind::Corrective.as_str()])]);
    start_at_zero(names::CALLBACK_ATTEMPTS_TOTAL, &[(label::RESULT, &crate::callbacks::RESULTS)]);
    start_at_zero(names::CALLBACK_DURATION_SECONDS, &[]);
    start_at_zero(names::CALLBACK_ENDPOINTS_PAUSED_TOTAL, &[]);
    start_at_zero(names::CALLBACK_ENDPOINTS_DISABLED_TOTAL, &[]);
    start_at_zero(names::CALLBACKS_DUE, &[]);
    start_at_zero(names::CALLBACK_LAG_SECONDS, &[(label::STATE, &crate::callbacks::ENDPOINT_STATES)]);
    start_at_zero(names::RECEIPTS_PARKED, &[]);
    start_at_zero(names::RECEIPTS_MISSING_TOTAL, &[]);
    start_at_zero(names::RECEIPTS_ORPHANED_TOTAL, &[]);
    start_at_zero(names::RECEIPT_MATCHES_TOTAL, &[(label::HOW, &IdMatch::ALL.map(IdMatch::as_str))]);
    start_at_zero(names::RECEIPTS_CONFLICTING_TOTAL, &[]);
    start_at_zero(names::RECEIPTS_AFTER_REFUND_TOTAL, &[]);
    start_at_zero(names::RECIPIENTS_SETTLED_TOTAL, &[(label::RESULT, &["failed"])]);
}
