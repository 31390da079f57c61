//! The open loop: a pacer lets each request start when it is due, connections take them in turn.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{Client, Load, Schedule, Tally, Target, Traffic};

/// Shortest pause of the pacer: how late a start may be for its sake.
const TICK: Duration = Duration::from_micros(250);

/// How a run is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Since the first request.
    pub elapsed: Duration,
    /// Whether what is sent now counts.
    pub is_measured: bool,
    /// 2xx of the last second.
    pub successful: u64,
    /// Other answers of the last second.
    pub refused: u64,
    /// Requests of the last second without an answer.
    pub failed: u64,
}

/// Counts of everything so far, warm-up included.
#[derive(Default)]
struct Counters {
    successful: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

struct Run {
    schedule: Schedule,
    traffic: Traffic,
    start: Instant,
    /// One permit for each request that is due.
    gate: Semaphore,
    next: AtomicU64,
    tally: Mutex<Tally>,
    counters: Counters,
}

/// Offers a load and tells what became of its measured part, and how long after the beginning of that part the last
/// answer came. The first request starts at `start`; `report` is called each second.
///
/// It runs on a thread of its own, so that nothing else in this process delays it.
///
/// # Errors
/// When no connection can be opened at first.
pub async fn drive(
    target: Target,
    load: Load,
    start: Instant,
    report: impl Fn(Progress) + Send + 'static,
) -> anyhow::Result<(Tally, Duration)> {
    let run = Arc::new(Run {
        schedule: Schedule::of(&load),
        traffic: Traffic::of(&load),
        start,
        gate: Semaphore::new(0),
        next: AtomicU64::new(0),
        tally: Mutex::default(),
        counters: Counters::default(),
    });
    // Whatever ends this future ends the pacer and the connections.
    let _closer = Closer(Arc::clone(&run));
    let running = Arc::clone(&run);
    let work = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("making a runtime")?;
        runtime.block_on(on_this_thread(running, target, load.concurrency, report))
    });
    work.await.context("the load generator panicked")??;
    let took = Instant::now().saturating_duration_since(start + run.schedule.measured_from());
    let tally = run.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((tally, took))
}

struct Closer(Arc<Run>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.gate.close();
    }
}

async fn on_this_thread(
    run: Arc<Run>,
    target: Target,
    concurrency: usize,
    report: impl Fn(Progress),
) -> anyhow::Result<()> {
    let mut clients: Vec<_> = (0..concurrency).map(|_| Client::new(target.clone())).collect();
    for client in &mut clients {
        client.connect().await.map_err(|error| anyhow::anyhow!("{target} cannot be reached ({})", error.as_str()))?;
    }
    let pacer = {
        let run = Arc::clone(&run);
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pace(&run, concurrency))
            .context("starting a thread")?
    };
    let mut connections = JoinSet::new();
    for client in clients {
        connections.spawn(send(Arc::clone(&run), client));
    }
    let mut seconds = tokio::time::interval_at((run.start + Duration::from_secs(1)).into(), Duration::from_secs(1));
    let mut before = (0, 0, 0);
    loop {
        tokio::select! {
            ended = connections.join_next() => match ended {
                Some(ended) => ended.context("a connection's task panicked")?,
                None => break,
            },
            _ = seconds.tick() => {
                let now = run.counters.read();
                report(Progress {
                    elapsed: run.start.elapsed(),
                    is_measured: run.start.elapsed() >= run.schedule.measured_from(),
                    successful: now.0 - before.0,
                    refused: now.1 - before.1,
                    failed: now.2 - before.2,
                });
                before = now;
            }
        }
    }
    pacer.join().map_err(|_| anyhow::anyhow!("the pacer panicked"))
}

/// Lets requests start when they are due. A thread, for its sleep is finer than a runtime's timer of a millisecond.
fn pace(run: &Run, concurrency: usize) {
    let mut released = 0;
    while released < run.schedule.total() && !run.gate.is_closed() {
        let due = Instant::now().checked_duration_since(run.start).map_or(0, |elapsed| run.schedule.due(elapsed));
        run.gate.add_permits(usize::try_from(due - released).unwrap_or(0));
        released = due;
        let next = run.start + run.schedule.start_of(released);
        thread::sleep(next.saturating_duration_since(Instant::now()).clamp(TICK, Duration::from_millis(100)));
    }
    // One more for each connection: it finds nothing left and ends.
    run.gate.add_permits(concurrency);
}

async fn send(run: Arc<Run>, mut client: Client) {
    while let Ok(permit) = run.gate.acquire().await {
        permit.forget();
        let index = run.next.fetch_add(1, Ordering::Relaxed);
        if index >= run.schedule.total() {
            return;
        }
        let outcome = client.post("/messages/send", run.traffic.body(index)).await;
        let latency = Instant::now().saturating_duration_since(run.start + run.schedule.start_of(index));
        run.counters.count(&outcome);
        if run.schedule.is_measured(index) {
            run.tally.lock().unwrap_or_else(PoisonError::into_inner).record(&outcome, latency);
        }
    }
}

impl Counters {
    fn count(&self, outcome: &Result<crate::Reply, crate::SendError>) {
        let counter = match outcome {
            Ok(reply) if reply.is_success() => &self.successful,
            Ok(_) => &self.refused,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.successful), read(&self.refused), read(&self.failed))
    }
}
