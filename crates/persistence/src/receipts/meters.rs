//! What receipts count for, after the commit that stored them.

use std::collections::BTreeMap;

use domain::{IdMatch, LedgerKind, ReceiptState};
use instruments::names::{self, label};

use super::{
    apply::{Effect, Matched, Message},
    candidates::Found,
};
use crate::{
    engine::{StepError, Tx},
    entity::message_status,
    money::{credits, refund::refund},
};

/// What joining receipts came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    matches: BTreeMap<IdMatch, u64>,
    contradicting: u64,
    after_refund: u64,
    /// By operator, seconds from what it took to the receipt that told its end.
    delays: Vec<(String, f64)>,
    /// Messages whose end gives back what they cost.
    pub(super) owed: Vec<message_status::Model>,
    refunded: i64,
    joined: u64,
}

impl Tally {
    pub(super) fn count(&mut self, operator: &str, matched: &Matched<'_>, message: &Message) {
        let Matched { receipt, found: Found { how, .. }, effect: Effect { told, contradicts, delay } } = matched;
        self.joined += 1;
        *self.matches.entry(*how).or_default() += 1;
        self.contradicting += u64::from(*contradicts);
        self.after_refund += u64::from(message.was_refunded() && receipt.state.tells().is_some());
        if told.is_some() {
            // One that was there before its message was recorded took no time.
            self.delays.push((operator.to_owned(), delay.as_seconds_f64().max(0.0)));
        }
    }

    /// Adds what another one counted.
    pub(crate) fn add(&mut self, other: Self) {
        for (how, count) in other.matches {
            *self.matches.entry(how).or_default() += count;
        }
        self.contradicting += other.contradicting;
        self.after_refund += other.after_refund;
        self.delays.extend(other.delays);
        self.owed.extend(other.owed);
        self.refunded += other.refunded;
        self.joined += other.joined;
    }

    /// Something is to be given back for these too.
    pub(crate) fn owe(&mut self, rows: impl IntoIterator<Item = message_status::Model>) {
        self.owed.extend(rows);
    }

    /// The messages for which something is to be given back; by whoever asks.
    pub(crate) fn take_owed(&mut self) -> Vec<message_status::Model> {
        std::mem::take(&mut self.owed)
    }

    /// Gives back what is owed: once, and after all messages and receipts that the transaction locks.
    pub(crate) async fn pay(&mut self, tx: &Tx) -> Result<(), StepError> {
        let owed: BTreeMap<i64, _> = self.take_owed().into_iter().map(|row| (row.id, row)).collect();
        self.refunded += refund(tx, &owed.values().collect::<Vec<_>>()).await?;
        Ok(())
    }

    /// Receipts that have their message now.
    pub(crate) fn joined(&self) -> u64 {
        self.joined
    }

    /// The same without times: for who comes late by itself.
    pub(super) fn without_delays(mut self) -> Self {
        self.delays.clear();
        self
    }

    /// Tells the metrics; call it once, after the commit.
    pub(crate) fn report(self) {
        for (how, count) in self.matches {
            if how != IdMatch::Same {
                tracing::info!(
                    outage = "operators",
                    how = how.as_str(),
                    "an operator reports ids in other digits than it answered; they are matched by their number"
                );
            }
            metrics::counter!(names::RECEIPT_MATCHES_TOTAL, label::HOW => how.as_str()).increment(count);
        }
        if self.contradicting > 0 {
            metrics::counter!(names::RECEIPTS_CONFLICTING_TOTAL).increment(self.contradicting);
        }
        if self.after_refund > 0 {
            metrics::counter!(names::RECEIPTS_AFTER_REFUND_TOTAL).increment(self.after_refund);
        }
        for (operator, delay) in self.delays {
            metrics::histogram!(names::RECEIPT_DELAY_SECONDS, label::OPERATOR => operator).record(delay);
        }
        credits::count(LedgerKind::Corrective, self.refunded);
    }
}

/// Counts receipts that were stored for the first time.
pub(super) fn stored(operator: &str, state: ReceiptState) {
    let operator = operator.to_owned();
    metrics::counter!(names::RECEIPTS_TOTAL, label::OPERATOR => operator, label::STATE => state.as_str()).increment(1);
}
