//! What has to be true of what came of an order.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use loadtest::Stored;

use super::stream::Sent;

/// How a schema takes older releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has no change that they do not know.
    Same,
    /// They go on.
    Rolling,
    /// They are kept off.
    Stopping,
}

impl Kind {
    /// Reads what the older release's `migrate status` says.
    ///
    /// # Errors
    /// When it neither runs on the schema nor is kept off by it.
    pub(super) fn of(code: Option<i32>, listing: &str) -> anyhow::Result<Self> {
        let has = |state: &str| listing.lines().any(|line| line.split(' ').next() == Some(state));
        Ok(match code {
            Some(0) if has("newer") => Self::Rolling,
            Some(0) => Self::Same,
            Some(2) if has("too-new") => Self::Stopping,
            // Releases before `m0006_schema_compatibility` end here.
            _ => bail!("the older release does not understand the newer schema; its migrate status says:\n{listing}"),
        })
    }
}

/// What is compared at the end of an order.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) sent: Sent,
    pub(super) stored: Stored,
    /// Recipients of each request.
    pub(super) recipients: usize,
    /// Balances that are not the sum of their ledger.
    pub(super) unbalanced: u64,
    /// Different submissions that the operator took.
    pub(super) submissions: u64,
    /// Whether the change made some 503 inevitable.
    pub(super) may_refuse: bool,
}

impl Evidence {
    /// Recipients whose message was delivered.
    pub(super) fn delivered(&self) -> u64 {
        count(self.stored.recipients.iter().filter(|(_, state)| state == "done").count())
    }

    /// What is not as it should be, in words; empty when all is well.
    pub(super) fn mismatches(&self) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(self.wrong_answers());
        found.extend(self.wrong_messages());
        found.extend(self.wrong_money());
        found
    }

    fn wrong_answers(&self) -> Vec<String> {
        let tally = &self.sent.tally;
        let refused = tally.non_2xx.iter().filter(|(status, _)| !(self.may_refuse && **status == 503));
        let mut found: Vec<_> =
            refused.map(|(status, requests)| format!("{requests} requests were answered {status}")).collect();
        let failed = tally.errors.iter();
        found.extend(failed.map(|(error, requests)| format!("{requests} requests got no answer ({})", error.as_str())));
        found
    }

    fn wrong_messages(&self) -> Vec<String> {
        let mut states: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (message, state) in &self.stored.recipients {
            states.entry(message).or_default().push(state);
        }
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for message in self.sent.accepted.iter().map(String::as_str) {
            let states = states.get(message).map_or(&[][..], Vec::as_slice);
            if !known.insert(message) {
                found.push(format!("two requests were told message {message}"));
            } else if states.is_empty() {
                found.push(format!("accepted message {message} is lost"));
            } else if states.len() != self.recipients {
                found.push(format!("message {message} has {} recipients, not {}", states.len(), self.recipients));
            } else if let Some(state) = states.iter().find(|state| **state != "done") {
                found.push(format!("accepted message {message} is {state}"));
            }
        }
        // A request without an answer may have been accepted all the same.
        let unasked = states.keys().filter(|message| !known.contains(*message)).count();
        if count(unasked) > self.sent.tally.failed() {
            found.push(format!("{unasked} messages are stored whose request was not answered with them"));
        }
        found
    }

    fn wrong_money(&self) -> Vec<String> {
        let Stored { recipients, ledger, events, .. } = &self.stored;
        let messages: BTreeSet<_> = recipients.iter().map(|(message, _)| message).collect();
        let failed = recipients.iter().filter(|(_, state)| state == "failed").count();
        let rows = |kind| ledger.get(kind).copied().unwrap_or(0);
        let open: u64 = events.iter().filter(|(state, _)| *state != "processed").map(|(_, events)| events).sum();
        [
            (rows("withdrawal"), count(messages.len()), "charges", "messages"),
            (rows("corrective"), count(failed), "refunds", "failed recipients"),
            (self.submissions, self.delivered(), "submissions taken by the operator", "recipients delivered to"),
            (self.unbalanced, 0, "balances that differ from their ledger", "allowed"),
            (open, 0, "outbox events not published", "allowed"),
        ]
        .into_iter()
        .filter(|(found, expected, ..)| found != expected)
        .map(|(found, expected, what, beside)| format!("{found} {what}, {expected} {beside}"))
        .collect()
    }
}

/// Whether nothing waits any more.
pub(super) fn is_settled(stored: &Stored) -> bool {
    let has_outcome = |state: &str| state == "done" || state == "failed";
    stored.recipients.iter().all(|(_, state)| has_outcome(state))
        && stored.events.keys().all(|state| state == "processed" || state == "failed")
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
