//! The backlog over time, counted beside a load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use loadtest::Tables;
use tokio::{sync::oneshot, task::JoinSet};

/// How often it is counted at most.
const EVERY: Duration = Duration::from_millis(500);
/// A pause is so many times as long as the count before it, so that counting takes 5 % of one core at most.
const REST: u32 = 20;

type Samples = Vec<(f64, u64)>;

/// Counts until it is finished or dropped.
pub(super) struct Sampler {
    latest: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    task: JoinSet<anyhow::Result<Samples>>,
}

impl Sampler {
    /// Counts from now on; samples before `zero` are only shown.
    pub(super) fn start(tables: Tables, zero: Instant) -> Self {
        let (latest, (stop, stopped)) = (Arc::new(AtomicU64::new(0)), oneshot::channel());
        let mut task = JoinSet::new();
        task.spawn(sample(tables, zero, Arc::clone(&latest), stopped));
        Self { latest, stop, task }
    }

    /// Gives the newest count.
    pub(super) fn latest(&self) -> impl Fn() -> u64 + Send + 'static {
        let latest = Arc::clone(&self.latest);
        move || latest.load(Ordering::Relaxed)
    }

    /// Seconds since `zero` and counts.
    pub(super) async fn finish(mut self) -> anyhow::Result<Samples> {
        drop(self.stop);
        let ended = self.task.join_next().await.context("the sampler does not run")?;
        ended.context("the sampler panicked")?.context("counting the backlog")
    }
}

async fn sample(
    mut tables: Tables,
    zero: Instant,
    latest: Arc<AtomicU64>,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::new();
    loop {
        let begun = Instant::now();
        let backlog = tables.unfinished().await?;
        latest.store(backlog, Ordering::Relaxed);
        if let Some(since) = begun.checked_duration_since(zero) {
            samples.push(((since.as_secs_f64() * 100.0).round() / 100.0, backlog));
        }
        let pause = EVERY.max(begun.elapsed() * REST);
        if tokio::time::timeout(pause, &mut stopped).await.is_ok() {
            return Ok(samples);
        }
    }
}
