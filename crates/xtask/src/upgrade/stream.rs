//! A steady stream of requests that goes to whichever gateway it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use loadtest::{Client, Load, Reply, SendError, Tally, Target, Traffic};
use serde::Deserialize;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// Longer than a request waits for its answer.
const LAST_ANSWER: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// Requests under way; dropping it ends them.
pub(super) struct Stream {
    /// `None` ends it. A request under way holds its target, so that one sees when the last of them was answered.
    to: watch::Sender<Option<Arc<Target>>>,
    connections: JoinSet<Sent>,
    plan: Arc<Plan>,
}

struct Plan {
    traffic: Traffic,
    rps: f64,
    start: Instant,
    /// Which one the first request is.
    first: u64,
    next: AtomicU64,
}

/// What was sent, and what the answers were.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    pub(super) tally: Tally,
    /// The identifiers that were answered.
    pub(super) accepted: Vec<String>,
}

#[derive(Deserialize)]
struct Accepted {
    message_identifier: String,
}

impl Stream {
    /// Offers requests from number `first` on.
    pub(super) fn start(load: &Load, first: u64, to: Target) -> Self {
        let (next, start) = (AtomicU64::new(0), Instant::now());
        let plan = Arc::new(Plan { traffic: Traffic::of(load), rps: load.rps, start, first, next });
        let (to, told) = watch::channel(Some(Arc::new(to)));
        let mut connections = JoinSet::new();
        for _ in 0..load.concurrency {
            connections.spawn(send(Arc::clone(&plan), told.clone()));
        }
        Self { to, connections, plan }
    }

    /// Sends what comes next to another gateway; returns when the one before owes no answer.
    ///
    /// # Errors
    /// When it still owes one after 15 s.
    pub(super) async fn switch(&self, to: Target) -> anyhow::Result<()> {
        let Some(before) = self.to.send_replace(Some(Arc::new(to))) else { return Ok(()) };
        let end = Instant::now() + LAST_ANSWER;
        while Arc::strong_count(&before) > 1 {
            ensure!(Instant::now() < end, "{before} owes answers {LAST_ANSWER:?} after its last request");
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Sends no more and waits for the answers; gives the number of the next request with them.
    ///
    /// # Errors
    /// When there is none after 15 s.
    pub(super) async fn finish(mut self) -> anyhow::Result<(u64, Sent)> {
        self.to.send_replace(None);
        let mut all = Sent::default();
        let collect = async {
            while let Some(sent) = self.connections.join_next().await {
                all.add(sent.context("a connection's task panicked")?);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(LAST_ANSWER, collect).await.context("waiting for the last answers")??;
        Ok((self.plan.first + self.plan.next.load(Ordering::Relaxed), all))
    }
}

impl Sent {
    /// These too.
    pub(super) fn add(&mut self, other: Self) {
        self.tally.add(&other.tally);
        self.accepted.extend(other.accepted);
    }

    fn note(&mut self, outcome: &Result<Reply, SendError>, latency: Duration) {
        self.tally.record(outcome, latency);
        let success = outcome.as_ref().ok().filter(|reply| reply.is_success());
        // An answer without an identifier shows as a message that nobody asked for.
        let accepted = success.and_then(|reply| serde_json::from_slice::<Accepted>(&reply.body).ok());
        self.accepted.extend(accepted.map(|accepted| accepted.message_identifier));
    }
}

/// One connection: takes the next request, waits until it is due, sends it.
async fn send(plan: Arc<Plan>, mut to: watch::Receiver<Option<Arc<Target>>>) -> Sent {
    let mut sent = Sent::default();
    let mut open: Option<(Target, Client)> = None;
    loop {
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        let due = plan.start + Duration::from_secs_f64(number as f64 / plan.rps);
        tokio::select! {
            () = sleep_until(due) => {}
            () = ended(&mut to) => return sent,
        }
        let Some(target) = to.borrow().clone() else { return sent };
        let (_, client) = match &mut open {
            Some(open) if open.0 == *target => open,
            other => other.insert((Target::clone(&target), Client::new(Target::clone(&target)))),
        };
        let outcome = client.post("/messages/send", plan.traffic.body(plan.first + number)).await;
        sent.note(&outcome, due.elapsed());
    }
}

async fn ended(to: &mut watch::Receiver<Option<Arc<Target>>>) {
    // Its sender is gone when it fails, which is an end as well.
    let _ = to.wait_for(Option::is_none).await;
}
