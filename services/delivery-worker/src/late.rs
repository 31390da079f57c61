//! Answers of operators that came when nobody waited for them any more. They are told but once, so they are kept until they are recorded.

use std::time::Duration;

use domain::RetrySchedule;
use operators::{Late, LateVerdict};
use persistence::{Database, LateAnswer, Said};
use service_kit::retry::until_ok;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{end::Rules, series};

/// Answers that may wait to be recorded: more than all windows of a process hold, however long the database is away.
pub(crate) const WAITING: usize = 65_536;
/// Answers that are recorded together.
const TOGETHER: usize = 256;
/// The least time from one transaction to the next: few large ones cost less than many small ones.
const PACE: Duration = Duration::from_millis(10);
/// How long recording them is tried once the process ends.
const AT_THE_END: Duration = Duration::from_millis(500);
const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(5));

/// Records late answers.
pub(crate) struct LateAnswers {
    pub(crate) database: Database,
    pub(crate) rules: Rules,
    pub(crate) told: mpsc::Receiver<Late>,
}

impl LateAnswers {
    /// Records until no operator can answer any more, which is some time after `finish`.
    pub(crate) async fn run(mut self, finish: CancellationToken) {
        let mut batch = Vec::new();
        while self.told.recv_many(&mut batch, TOGETHER).await > 0 {
            let began = Instant::now();
            let answers: Vec<_> = batch.drain(..).filter_map(|late| self.answer(late)).collect();
            if !answers.is_empty() {
                self.record(&answers, &finish).await;
            }
            finish.run_until_cancelled(tokio::time::sleep_until(began + PACE)).await;
        }
    }

    /// What is to be recorded. That an operator refused a message says nothing where it may have been sent again meanwhile.
    fn answer(&self, late: Late) -> Option<LateAnswer> {
        let Late { operator, message_id, recipient, verdict } = late;
        let said = match verdict {
            LateVerdict::Taken(ids) => Said::Accepted(self.rules.called(&operator, ids)),
            LateVerdict::Rejected if self.rules.sends_once() => Said::Rejected,
            LateVerdict::Refused if self.rules.sends_once() => Said::Refused,
            LateVerdict::Rejected | LateVerdict::Refused => return None,
        };
        Some(LateAnswer { message_id, recipient, operator: operator.to_string(), said })
    }

    async fn record(&self, answers: &[LateAnswer], finish: &CancellationToken) {
        let recording = until_ok(
            || self.database.settle_late(answers),
            |_, failures| PAUSES.delay(failures, &mut rand::rng()),
            None,
        );
        let given_up = async {
            finish.cancelled().await;
            tokio::time::sleep(AT_THE_END).await;
        };
        tokio::select! {
            recorded = recording => {
                if let Ok(recorded) = recorded {
                    series::settled_late(answers, &recorded);
                }
            }
            // Their rows stay as they are, and are asked about again.
            () = given_up => {
                tracing::error!(outage = "database", messages = answers.len(), "late answers were not recorded before the end");
            }
        }
    }
}
