//! Jobs done in batches: a task takes all that is waiting, does it at once, and answers each job.
//!
//! An idle task starts a single job immediately. While jobs keep coming, a batch begins no sooner than a pace after the one before
//! it began, unless it is large already: few large batches cost less than many small ones. After a batch of one to three jobs the pace is
//! shorter, for so few come that there is nothing to gain from waiting. Jobs with the same key go to the same task and keep their order.
//!
//! A task that waits for its pace sleeps until then, or until as many jobs wait as make a large batch: to be woken for each of them would
//! cost more than the jobs themselves.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicIsize, Ordering},
    },
    time::Duration,
};

use telemetry::names;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::Scope;

/// Fewer jobs than these make the pace shorter.
pub const FEW: u32 = 4;

/// How many tasks, and how much each may hold.
#[derive(Debug, Clone, Copy)]
pub struct BatchOptions {
    /// Name of the tasks in metrics and logs.
    pub name: &'static str,
    /// Number of tasks; each works by itself, one batch at a time.
    pub tasks: usize,
    /// Jobs that may wait for a task before it is full.
    pub queue: usize,
    /// Most jobs of one batch.
    pub batch_jobs: usize,
    /// Weight after which no job is added to a batch: it begins at once.
    pub batch_weight: usize,
    /// The least time from the beginning of a batch of [`FEW`] jobs or more to that of the next, but for large ones; after fewer in
    /// proportion.
    pub pace: Duration,
    /// Jobs that make a batch large: it begins at once. No more than fit into a batch, and into the queue with one beside it.
    pub large: usize,
}

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum BatchError<E> {
    /// Too many jobs are waiting already.
    #[error("too many jobs are waiting already")]
    Full,
    /// The tasks have stopped.
    #[error("the tasks that do the jobs have stopped")]
    Stopped,
    /// The work failed, for this job or for all of its batch.
    #[error(transparent)]
    Failed(Arc<E>),
}

type Answer<A, E> = Result<A, Arc<E>>;

struct Waiting<J, A, E> {
    job: J,
    answer: oneshot::Sender<Answer<A, E>>,
}

/// Gathers jobs that give an `A` or an `E` into batches; clones share the tasks, which end when the last one is dropped and
/// all jobs are answered.
#[derive(Debug)]
pub struct Batcher<J, A, E> {
    tasks: Vec<Entrance<J, A, E>>,
    weigh: fn(&J) -> usize,
}

/// The way to one task.
#[derive(Debug)]
struct Entrance<J, A, E> {
    jobs: mpsc::Sender<Waiting<J, A, E>>,
    backlog: Arc<Backlog>,
}

impl<J, A, E> Clone for Entrance<J, A, E> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), backlog: Arc::clone(&self.backlog) }
    }
}

impl<J, A, E> Clone for Batcher<J, A, E> {
    fn clone(&self) -> Self {
        Self { tasks: self.tasks.clone(), weigh: self.weigh }
    }
}

/// What a task works by.
struct Rules<J, E, W> {
    options: BatchOptions,
    weigh: fn(&J) -> usize,
    concerns_all: fn(&E) -> bool,
    work: W,
}

impl<J, A, E> Batcher<J, A, E>
where
    J: Send + Sync + 'static,
    A: Send + 'static,
    E: Send + Sync + 'static,
{
    /// Starts the tasks. `weigh` tells what a job adds to its batch; `work` does a batch and gives the answer of each job, in
    /// order, or an error that says that nothing was done. Where that error does not concern all jobs (`concerns_all`),
    /// something in the batch is refused: each is then done by itself, so that its neighbours are served.
    pub fn start<W, F>(
        options: BatchOptions,
        scope: &Scope,
        weigh: fn(&J) -> usize,
        concerns_all: fn(&E) -> bool,
        work: W,
    ) -> Self
    where
        W: Fn(Arc<Vec<J>>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<A>, E>> + Send + 'static,
    {
        let tasks = (0..options.tasks.max(1))
            .map(|_| {
                let (jobs, receiver) = mpsc::channel(options.queue.max(1));
                let backlog = Arc::new(Backlog::new(options));
                let rules = Rules { options, weigh, concerns_all, work: work.clone() };
                scope.spawn(options.name, run(rules, receiver, Arc::clone(&backlog)));
                Entrance { jobs, backlog }
            })
            .collect();
        Self { tasks, weigh }
    }

    /// Has a job done by the task of `key`; refused at once when too much waits for it.
    ///
    /// Dropping the future takes the job back as long as its batch has not begun.
    pub async fn submit(&self, key: u64, job: J) -> Result<A, BatchError<E>> {
        let (answer, answered) = oneshot::channel();
        let (task, weight) = (self.task(key), (self.weigh)(&job));
        task.jobs.try_send(Waiting { job, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => BatchError::Full,
            mpsc::error::TrySendError::Closed(_) => BatchError::Stopped,
        })?;
        task.backlog.came(weight);
        answered.await.map_err(|_| BatchError::Stopped)?.map_err(BatchError::Failed)
    }

    /// As [`Batcher::submit`], but waits for room.
    pub async fn submit_waiting(&self, key: u64, job: J) -> Result<A, BatchError<E>> {
        let (answer, answered) = oneshot::channel();
        let (task, weight) = (self.task(key), (self.weigh)(&job));
        task.jobs.send(Waiting { job, answer }).await.map_err(|_| BatchError::Stopped)?;
        task.backlog.came(weight);
        answered.await.map_err(|_| BatchError::Stopped)?.map_err(BatchError::Failed)
    }

    fn task(&self, key: u64) -> &Entrance<J, A, E> {
        // Fibonacci hashing spreads consecutive keys over the tasks.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let task = usize::try_from(hash).unwrap_or(0) % self.tasks.len();
        &self.tasks[task]
    }
}

/// The jobs of a task that it has not begun. They are counted once they are in its queue, so for a moment it may have begun more.
#[derive(Debug)]
struct Backlog {
    jobs: AtomicIsize,
    weight: AtomicIsize,
    options: BatchOptions,
    /// Told when a large batch waits.
    large: Notify,
}

impl Backlog {
    fn new(options: BatchOptions) -> Self {
        Self { jobs: AtomicIsize::new(0), weight: AtomicIsize::new(0), options, large: Notify::new() }
    }

    /// One job more. Whose job makes the batch large sees that all others are counted.
    fn came(&self, weight: usize) {
        self.jobs.fetch_add(1, Ordering::SeqCst);
        self.weight.fetch_add(weight.cast_signed(), Ordering::SeqCst);
        if self.is_large() {
            self.large.notify_one();
        }
    }

    fn begun(&self, jobs: usize, weight: usize) {
        self.jobs.fetch_sub(jobs.cast_signed(), Ordering::SeqCst);
        self.weight.fetch_sub(weight.cast_signed(), Ordering::SeqCst);
    }

    fn is_large(&self) -> bool {
        let reached = |count: &AtomicIsize, bound: usize| count.load(Ordering::SeqCst) >= bound.cast_signed();
        reached(&self.jobs, self.options.large) || reached(&self.weight, self.options.batch_weight)
    }

    /// Ends when a large batch waits. That it was told so may be long ago, hence the loop.
    async fn until_large(&self) {
        while !self.is_large() {
            self.large.notified().await;
        }
    }
}

async fn run<J, A, E, W, F>(
    rules: Rules<J, E, W>,
    mut receiver: mpsc::Receiver<Waiting<J, A, E>>,
    backlog: Arc<Backlog>,
) where
    W: Fn(Arc<Vec<J>>) -> F,
    F: Future<Output = Result<Vec<A>, E>>,
{
    let mut next_begins = Instant::now();
    while let Some(first) = receiver.recv().await {
        let mut gathered = Gathered::default();
        gathered.add(&rules, first);
        // Where time is up, what is there makes the batch.
        drop(timeout_at(next_begins, backlog.until_large()).await);
        gathered.take_what_waits(&rules, &mut receiver);
        backlog.begun(gathered.waiting.len(), gathered.weight);
        let (jobs, answers) = gathered.begin();
        if jobs.is_empty() {
            continue;
        }
        next_begins = Instant::now() + pace_after(jobs.len(), rules.options.pace);
        metrics::histogram!(names::BATCH_SIZE, names::label::LANE => rules.options.name).record(jobs.len() as f64);
        let done = rules.answers(jobs).await;
        debug_assert_eq!(done.len(), answers.len(), "every job has an answer");
        for (answer, result) in answers.into_iter().zip(done) {
            // Who asked may have left meanwhile; the job is done all the same.
            drop(answer.send(result));
        }
    }
}

fn pace_after(jobs: usize, pace: Duration) -> Duration {
    pace * u32::try_from(jobs).unwrap_or(FEW).min(FEW) / FEW
}

impl<J, E, W> Rules<J, E, W> {
    async fn answers<A, F>(&self, jobs: Vec<J>) -> Vec<Answer<A, E>>
    where
        W: Fn(Arc<Vec<J>>) -> F,
        F: Future<Output = Result<Vec<A>, E>>,
    {
        let count = jobs.len();
        let jobs = Arc::new(jobs);
        let error = match (self.work)(Arc::clone(&jobs)).await {
            Ok(answers) => return answers.into_iter().map(Ok).collect(),
            Err(error) => error,
        };
        // The work has ended, so nobody else has its jobs any more.
        let refused = Arc::into_inner(jobs).filter(|_| count > 1 && !(self.concerns_all)(&error));
        let Some(refused) = refused else {
            let error = Arc::new(error);
            return (0..count).map(|_| Err(Arc::clone(&error))).collect();
        };
        let mut answers = Vec::with_capacity(count);
        for job in refused {
            let done = (self.work)(Arc::new(vec![job])).await;
            // One job has one answer.
            answers.extend(match done {
                Ok(answers) => answers.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(Arc::new(error))],
            });
        }
        answers
    }
}

/// The jobs of the next batch.
struct Gathered<J, A, E> {
    waiting: Vec<Waiting<J, A, E>>,
    weight: usize,
}

impl<J, A, E> Default for Gathered<J, A, E> {
    fn default() -> Self {
        Self { waiting: Vec::new(), weight: 0 }
    }
}

impl<J, A, E> Gathered<J, A, E> {
    fn add<W>(&mut self, rules: &Rules<J, E, W>, waiting: Waiting<J, A, E>) {
        self.weight += (rules.weigh)(&waiting.job);
        self.waiting.push(waiting);
    }

    fn is_full<W>(&self, rules: &Rules<J, E, W>) -> bool {
        self.waiting.len() >= rules.options.batch_jobs || self.weight >= rules.options.batch_weight
    }

    fn take_what_waits<W>(&mut self, rules: &Rules<J, E, W>, receiver: &mut mpsc::Receiver<Waiting<J, A, E>>) {
        while !self.is_full(rules) {
            let Ok(next) = receiver.try_recv() else { return };
            self.add(rules, next);
        }
    }

    /// The jobs, but for those whose askers have left: they are not begun.
    fn begin(self) -> (Vec<J>, Vec<oneshot::Sender<Answer<A, E>>>) {
        let asked = self.waiting.into_iter().filter(|waiting| !waiting.answer.is_closed());
        asked.map(|Waiting { job, answer }| (job, answer)).unzip()
    }
}

#[cfg(test)]
mod tests;
