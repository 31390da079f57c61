//! Answers of operators that came when nobody waited for them any more. They are told but once, so they are kept until they are recorded.

use std::time::Duration;

use domain::RetrySchedule;
use operators::{Late, LateVerdict};
use persistence::{Database, Error, LateAnswer, Said};
use service_kit::retry::until_ok;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{end::Rules, series};

/// Answers that may wait to be recorded; more are lost, and their messages stay as they are. No more come than windows hold: while the
/// database is away nothing new is sent.
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
        let (mut batch, mut lost) = (Vec::new(), 0);
        while self.told.recv_many(&mut batch, TOGETHER).await > 0 {
            let began = Instant::now();
            let answers: Vec<_> = batch.drain(..).filter_map(|late| self.answer(late)).collect();
            // Without a database at the end each batch would be waited for anew.
            if lost > 0 || !self.is_recorded(&answers, &finish).await {
                lost += answers.len();
            }
            finish.run_until_cancelled(tokio::time::sleep_until(began + PACE)).await;
        }
        if lost > 0 {
            // Their rows stay as they are, and are asked about again.
            tracing::error!(outage = "database", lost, "late answers were not recorded before the end");
        }
    }

    /// What is to be recorded. That an operator refused a message says nothing where it may have been sent again meanwhile.
    fn answer(&self, late: Late) -> Option<LateAnswer> {
        let Late { operator, message_id, recipient, verdict } = late;
        let said = match verdict {
            LateVerdict::Taken(ids) => Said::Accepted(self.rules.called(&operator, ids)),
            LateVerdict::NotTaken if self.rules.sends_once() => Said::Refused,
            LateVerdict::NotTaken => return None,
        };
        Some(LateAnswer { message_id, recipient, operator: operator.to_string(), said })
    }

    /// Records them as soon as the database is there; `false` where the process ends before.
    async fn is_recorded(&self, answers: &[LateAnswer], finish: &CancellationToken) -> bool {
        if answers.is_empty() {
            return true;
        }
        let given_up = async {
            finish.cancelled().await;
            tokio::time::sleep(AT_THE_END).await;
        };
        tokio::select! {
            () = self.record(answers) => true,
            () = given_up => false,
        }
    }

    async fn record(&self, answers: &[LateAnswer]) {
        let pause = |error: &Error, retry| self.pause_while_away(error, retry);
        match until_ok(|| self.database.settle_late(answers), pause, None).await {
            Ok(recorded) => series::settled_late(answers, &recorded),
            // Whichever of them it is that the database refuses: it is not to hold up the others.
            Err(_) if answers.len() > 1 => {
                for answer in answers.chunks(1) {
                    Box::pin(self.record(answer)).await;
                }
            }
            Err(error) => {
                let message = answers.first().map(|answer| answer.message_id.as_str());
                tracing::error!(
                    outage = "database",
                    error = error.with_cause(),
                    message,
                    "a late answer is not recorded"
                );
            }
        }
    }

    /// Also while the schema is being changed.
    fn pause_while_away(&self, error: &Error, retry: u32) -> Option<Duration> {
        if !error.is_unavailable() && self.database.is_migrated() {
            return None;
        }
        tracing::warn!(outage = "database", error = error.with_cause(), retry, "late answers wait for the database");
        PAUSES.delay(retry, &mut rand::rng())
    }
}
