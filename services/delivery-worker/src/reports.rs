//! Receipts that operators tell by themselves. Each is answered for when it is stored.

use std::time::Duration;

use domain::RetrySchedule;
use operators::Report;
use persistence::{Database, Error, NewReceipt};
use service_kit::retry::until_ok;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Receipts that may wait to be stored; operators are asked to tell more of them again.
pub(crate) const WAITING: usize = 8_192;
/// Receipts that are stored together.
const TOGETHER: usize = 192;
/// The least time from one transaction to the next: few large ones cost less than many small ones.
const PACE: Duration = Duration::from_millis(10);
/// How long storing is tried: operators are asked to tell it again after that.
const TRIED_FOR: Duration = Duration::from_secs(5);
const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(100), Duration::from_secs(1));

/// Stores what operators tell.
pub(crate) struct Reports {
    pub(crate) database: Database,
    pub(crate) told: mpsc::Receiver<Report>,
}

impl Reports {
    /// Stores until `stop`, or until no operator can tell anything any more.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        while let Some(1..) = stop.run_until_cancelled(self.told.recv_many(&mut batch, TOGETHER)).await {
            let began = Instant::now();
            // Who waited has answered for what took too long, and is told it again.
            let receipts = batch.drain(..).filter(|report| !report.stored.is_closed()).map(
                |Report { operator, receipt, exact, stored }| {
                    (NewReceipt { operator: operator.to_string(), receipt, exact }, stored)
                },
            );
            self.store(receipts.collect(), &stop).await;
            stop.run_until_cancelled(tokio::time::sleep_until(began + PACE)).await;
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
