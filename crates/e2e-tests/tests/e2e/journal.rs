//! What the client asked for and what it was told: the truth that the platform is checked against.

use std::collections::BTreeSet;

use test_support::wait_until;

use crate::client::{Answer, CLEAR_ANSWER, Client, Submission, TopUp};

/// Requests with their latest answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    pub(crate) sends: Vec<(Submission, Answer)>,
    pub(crate) top_ups: Vec<(TopUp, Answer)>,
}

impl Journal {
    pub(crate) fn extend(&mut self, other: Self) {
        self.sends.extend(other.sends);
        self.top_ups.extend(other.top_ups);
    }

    /// The accepted messages, with their identifiers.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = (&str, &Submission)> {
        self.sends.iter().filter_map(|(submission, answer)| match answer {
            Answer::Accepted { id, .. } => Some((id.as_str(), submission)),
            Answer::Refused { .. } | Answer::Unknown { .. } => None,
        })
    }

    /// Everybody who asked for anything.
    pub(crate) fn users(&self) -> BTreeSet<i64> {
        let senders = self.sends.iter().map(|(submission, _)| submission.user);
        senders.chain(self.top_ups.iter().map(|(top_up, _)| top_up.user)).collect()
    }

    /// Those who have money or had some.
    pub(crate) fn users_with_money(&self) -> BTreeSet<i64> {
        let accepted = self.top_ups.iter().filter(|(_, answer)| matches!(answer, Answer::Accepted { .. }));
        accepted.map(|(top_up, _)| top_up.user).collect()
    }

    /// How many requests have no clear answer yet.
    pub(crate) fn unknown(&self) -> usize {
        let answers = self.sends.iter().map(|(_, answer)| answer).chain(self.top_ups.iter().map(|(_, answer)| answer));
        answers.filter(|answer| matches!(answer, Answer::Unknown { .. })).count()
    }

    /// Repeats what has no clear answer, with the same keys, until everything has.
    pub(crate) async fn resolve(&mut self, client: &Client) {
        for (submission, answer) in &mut self.sends {
            if matches!(answer, Answer::Unknown { .. }) {
                *answer = clear(async || client.send(submission).await).await;
            }
        }
        for (top_up, answer) in &mut self.top_ups {
            if matches!(answer, Answer::Unknown { .. }) {
                *answer = clear(async || client.top_up(top_up).await).await;
            }
        }
    }
}

/// Asks until the answer is clear; every time with the same key.
pub(crate) async fn clear(mut ask: impl AsyncFnMut() -> Answer) -> Answer {
    wait_until(CLEAR_ANSWER, "a clear answer", async || {
        Some(ask().await).filter(|answer| !matches!(answer, Answer::Unknown { .. }))
    })
    .await
}
