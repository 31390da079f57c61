//! What operators tell by themselves: receipts, and that they took a message after all. It is answered for when it is stored.

use std::time::Duration;

use domain::RetrySchedule;
use operators::{LateAcceptance, Report};
use persistence::{Database, Error, LateAnswer, NewReceipt};
use service_kit::retry::until_ok;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{end::Rules, series};

/// Reports that may wait to be stored; operators are asked to tell more of them again.
pub(crate) const WAITING: usize = 1_024;
/// Reports that are stored together.
const TOGETHER: usize = 192;
/// The least time from one transaction to the next: few large ones cost less than many small ones.
const PACE: Duration = Duration::from_millis(10);
/// How long storing is tried: operators are asked to tell it again after that.
const TRIED_FOR: Duration = Duration::from_secs(5);
const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(1));

/// Stores what operators tell.
pub(crate) struct Reports {
    pub(crate) database: Database,
    pub(crate) rules: Rules,
    pub(crate) told: mpsc::Receiver<Report>,
}

impl Reports {
    /// Stores until `stop`, or until no operator can tell anything any more.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        while let Some(1..) = stop.run_until_cancelled(self.told.recv_many(&mut batch, TOGETHER)).await {
            let began = Instant::now();
            let (mut receipts, mut late) = (Vec::new(), Vec::new());
            for report in batch.drain(..) {
                match report {
                    Report::Receipt { operator, receipt, stored } => {
                        receipts.push((NewReceipt { operator: operator.to_string(), receipt }, stored));
                    }
                    Report::Late(acceptance) => late.push(self.answer(acceptance)),
                }
            }
            // First what may be the message of a receipt.
            self.settle(&late, &stop).await;
            self.store(receipts, &stop).await;
            stop.run_until_cancelled(tokio::time::sleep_until(began + PACE)).await;
        }
    }

    fn answer(&self, late: LateAcceptance) -> LateAnswer {
        let LateAcceptance { operator, message_id, recipient, ids } = late;
        let called = self.rules.called(&operator, ids);
        LateAnswer { message_id, recipient, operator: operator.to_string(), called }
    }

    async fn settle(&self, late: &[LateAnswer], stop: &CancellationToken) {
        if late.is_empty() {
            return;
        }
        match tried(|| self.database.settle_late(late), stop).await {
            Ok(recorded) => series::settled_late(recorded.iter().filter(|recorded| **recorded).count()),
            // Their rows stay as they are, and are asked about again.
            Err(error) => {
                tracing::error!(outage = "database", %error, messages = late.len(), "late answers were not recorded");
            }
        }
    }

    async fn store(&self, receipts: Vec<(NewReceipt, oneshot::Sender<()>)>, stop: &CancellationToken) {
        let (receipts, waiting): (Vec<_>, Vec<_>) = receipts.into_iter().unzip();
        if receipts.is_empty() {
            return;
        }
        match tried(|| self.database.take_receipts(&receipts), stop).await {
            Ok(_) => {
                for stored in waiting {
                    // A session that is gone has its SMSC tell it again, which changes nothing.
                    let _gone = stored.send(());
                }
            }
            Err(error) => {
                tracing::warn!(outage = "database", %error, receipts = receipts.len(), "receipts were not stored; operators are asked to tell them again");
            }
        }
    }
}

/// Does it until it works, for a while.
async fn tried<T, F: Future<Output = Result<T, Error>>>(
    work: impl Fn() -> F,
    stop: &CancellationToken,
) -> Result<T, Error> {
    let began = Instant::now();
    let again = |_: &Error, failures| {
        PAUSES.delay(failures, &mut rand::rng()).filter(|pause| began.elapsed() + *pause < TRIED_FOR)
    };
    until_ok(work, again, Some(stop)).await
}
