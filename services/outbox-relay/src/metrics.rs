//! The metrics of this service from the start: every series that is known by then, with 0.

use broker::{Published, Topology};
use persistence::Lane;
use telemetry::{
    exports::{start_at_zero, start_connections_at_zero},
    names::{self, label},
};

/// The database queries that the relay makes.
const QUERIES: [&str; 16] = [
    "idempotency_purge",
    "ledger_audit",
    "ledger_audit_next",
    "outbox_claim",
    "outbox_fail",
    "outbox_oldest",
    "outbox_pending",
    "outbox_processed",
    "outbox_promote",
    "outbox_purge",
    "outbox_put_off",
    "outbox_release",
    "outbox_republish",
    "outbox_rescue",
    "outbox_retry",
    "ping",
];

pub(crate) fn start(topology: &Topology) {
    start_connections_at_zero(&QUERIES);
    start_at_zero(names::CURRENT_OUTBOX_PENDING_EVENTS, &[]);
    let lanes = Lane::ALL.map(Lane::as_str);
    start_at_zero(names::OUTBOX_PENDING_EVENTS, &[(label::LANE, &lanes)]);
    start_at_zero(names::OUTBOX_OLDEST_AGE_SECONDS, &[(label::LANE, &lanes)]);
    start_at_zero(names::QUEUE_MESSAGES, &[(label::QUEUE, &topology.queues())]);
    start_at_zero(names::RELAY_PAUSED, &[(label::LANE, &lanes)]);
    start_at_zero(names::BROKER_PUBLISHES_TOTAL, &[(label::RESULT, &Published::RESULTS)]);
    start_at_zero(names::BROKER_CONFIRM_DURATION_SECONDS, &[]);
    start_at_zero(names::BATCH_SIZE, &[(label::LANE, &["relay_express", "relay_normal"])]);
    start_at_zero(names::LEDGER_MISMATCHES, &[]);
    start_at_zero(names::LEDGER_AUDITS_TOTAL, &[]);
    start_at_zero(names::LEDGER_CREDITS_TOTAL, &[(label::TYPE, &["corrective"])]);
    start_at_zero(names::RECIPIENTS_SETTLED_TOTAL, &[(label::RESULT, &["failed"])]);
}
