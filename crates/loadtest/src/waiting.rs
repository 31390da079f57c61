//! Messages that wait to be published, as a gateway leaves them.

use anyhow::{Context as _, ensure};
use persistence::{AcceptOutcome, AcceptRequest, Database};
use tokio::task::JoinSet;

use crate::{Traffic, accepted::Requests, message::Destinations, store};

/// Messages of one transaction.
const BATCH: u64 = 500;
/// Transactions at the same time, each over a connection of its own.
const AT_ONCE: u32 = 4;

/// Stores `count` accepted messages of `traffic` that wait to be published. Their users must have the balance.
///
/// # Errors
/// When the database refuses, or a user cannot pay.
pub async fn insert_waiting(
    database_url: &str,
    traffic: &Traffic,
    count: u64,
    to: &Destinations,
) -> anyhow::Result<()> {
    let database = store::open(database_url, AT_ONCE).await?;
    let mut filler = Filler::new(database.clone(), *traffic, to.clone());
    filler.add(count, |_| {}).await?;
    database.close().await;
    Ok(())
}

/// Puts more and more messages into the outbox.
pub(crate) struct Filler {
    database: Database,
    requests: Requests,
    next: u64,
    change: Option<Change>,
}

/// What is made of message `index`.
type Change = Box<dyn Fn(u64, AcceptRequest) -> anyhow::Result<AcceptRequest>>;

impl Filler {
    pub(crate) fn new(database: Database, traffic: Traffic, to: Destinations) -> Self {
        Self { database, requests: Requests::new(traffic, to), next: 0, change: None }
    }

    /// The same, of messages that say more.
    pub(crate) fn changing(
        self,
        change: impl Fn(u64, AcceptRequest) -> anyhow::Result<AcceptRequest> + 'static,
    ) -> Self {
        Self { change: Some(Box::new(change)), ..self }
    }

    fn make(&mut self, index: u64) -> anyhow::Result<AcceptRequest> {
        let request = self.requests.make(index)?;
        match &self.change {
            Some(change) => change(index, request),
            None => Ok(request),
        }
    }

    /// Stores so many more, and tells after each transaction how many of them are stored.
    pub(crate) async fn add(&mut self, count: u64, mut progress: impl FnMut(u64)) -> anyhow::Result<()> {
        let end = self.next + count;
        let (mut storing, mut stored) = (JoinSet::new(), 0);
        while self.next < end {
            let last = end.min(self.next + BATCH);
            let batch = (self.next..last).map(|index| self.make(index)).collect::<anyhow::Result<Vec<_>>>()?;
            self.next = last;
            if storing.len() >= AT_ONCE as usize {
                stored += ended(&mut storing).await?;
                progress(stored);
            }
            storing.spawn(store_batch(self.database.clone(), batch));
        }
        while !storing.is_empty() {
            stored += ended(&mut storing).await?;
            progress(stored);
        }
        Ok(())
    }
}

async fn ended(storing: &mut JoinSet<anyhow::Result<u64>>) -> anyhow::Result<u64> {
    storing.join_next().await.unwrap_or(Ok(Ok(0))).context("a storing task panicked")?
}

/// Gives how many were stored.
async fn store_batch(database: Database, batch: Vec<AcceptRequest>) -> anyhow::Result<u64> {
    let outcomes = database.accept(&batch).await.context("storing waiting messages")?;
    let all_paid = outcomes.iter().all(|outcome| matches!(outcome, AcceptOutcome::Accepted(_)));
    ensure!(all_paid, "a user cannot pay: seed first");
    Ok(batch.len() as u64)
}
