//! `ledger_credits_total`: counted here, after the commit, and nowhere else.
//!
//! What is counted is in the ledger. A commit whose answer is lost on the way is not counted, so the counter may fall
//! behind the ledger, but never runs ahead of it: the audit is what compares money, this shows how it flows.

use domain::LedgerKind;
use instruments::names::{self, label};

/// Counts credits of a kind of ledger entry.
pub(crate) fn count(kind: LedgerKind, credits: i64) {
    let credits = u64::try_from(credits).unwrap_or(0);
    if credits > 0 {
        metrics::counter!(names::LEDGER_CREDITS_TOTAL, label::TYPE => kind.as_str()).increment(credits);
    }
}
