//! `ledger_credits_total`: counted here, after the commit, and nowhere else.
//!
//! What is counted is in the ledger. A commit whose answer is lost on the way is not counted, so the counter may fall
//! behind the ledger, but never runs ahead of it: the audit is what compares money, this shows how it flows.

use domain::pricing;

use crate::{
    AcceptOutcome, AcceptRequest, TopUpOutcome, TopUpRequest,
    ledger::{CORRECTIVE, DEPOSIT, WITHDRAWAL},
};

pub(crate) fn added(request: &TopUpRequest, outcome: &TopUpOutcome) {
    if matches!(outcome, TopUpOutcome::Added(..)) {
        count(DEPOSIT, request.amount.get());
    }
}

pub(crate) fn charged(batch: &[AcceptRequest], outcomes: &[AcceptOutcome]) {
    let accepted = batch.iter().zip(outcomes).filter(|(_, outcome)| matches!(outcome, AcceptOutcome::Accepted(_)));
    let totals =
        accepted.map(|(request, _)| pricing::total(request.unit_price, &request.payload.message.recipients).get());
    count(WITHDRAWAL, totals.sum());
}

pub(crate) fn refunded(credits: i64) {
    count(CORRECTIVE, credits);
}

fn count(kind: &'static str, credits: i64) {
    let credits = u64::try_from(credits).unwrap_or(0);
    if credits > 0 {
        metrics::counter!("ledger_credits_total", "type" => kind).increment(credits);
    }
}
