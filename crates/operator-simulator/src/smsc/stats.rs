//! What an SMSC counts.

use serde::{Deserialize, Serialize};

use crate::smsc::SmscDecision;

/// Counts since the start or the last time that the journal was forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmscStats {
    /// Sessions that are bound now.
    pub sessions: usize,
    /// Binds that were granted.
    pub binds: u64,
    /// Binds that were refused.
    pub binds_refused: u64,
    /// Submits on sessions that are bound for them, whatever became of them.
    pub submits: u64,
    /// Of these, messages that the SMSC has, answered or not.
    pub accepted: u64,
    /// Of these, those answered with a status that the behaviour names.
    pub refused: u64,
    /// Of these, those above `tps`.
    pub throttled: u64,
    /// The most submits of one session that were unanswered at the same time: read, but their answers not written.
    /// Those that are never answered count until their session ends.
    pub max_window: usize,
    /// The most submits that were read within any second. What a client sends evenly may be read in bursts, so that
    /// one that keeps to a rate exactly seems to exceed it by a few.
    pub max_per_second: usize,
    /// Receipts sent, each time counted.
    pub receipts_sent: u64,
    /// Receipts that a client took.
    pub receipts_taken: u64,
    /// Receipts that were given up: refused for good, not taken within a minute, or too many.
    pub receipts_given_up: u64,
    /// Receipts that wait now for their time, for a session, or to be sent again.
    pub receipts_waiting: usize,
    /// `enquire_link` of clients.
    pub enquire_links: u64,
    /// Answers to the SMSC's own.
    pub enquire_links_answered: u64,
    /// Entries that are no longer in memory because it was full.
    pub journal_dropped: u64,
    /// Entries that could not be written to the journal's file.
    pub journal_failed: u64,
}

impl SmscStats {
    pub(crate) fn count(&mut self, decision: SmscDecision) {
        match decision {
            SmscDecision::Accepted | SmscDecision::Silent | SmscDecision::Cut => self.accepted += 1,
            SmscDecision::Refused => self.refused += 1,
            SmscDecision::Throttled => self.throttled += 1,
            SmscDecision::NotBound => return,
        }
        self.submits += 1;
    }
}
