//! Lanes that do jobs in batches: a lane takes all that is waiting, does it at once, and answers each job.
//!
//! There is no timer: an idle lane starts a single job immediately, and the batches grow by themselves while the
//! work before them takes its time. Jobs with the same key share a lane and keep their order.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};

use crate::Scope;

/// How many lanes, and how much each may hold.
#[derive(Debug, Clone, Copy)]
pub struct LaneOptions {
    /// Name of the lanes in metrics and logs.
    pub name: &'static str,
    /// Number of lanes; each works by itself, one batch at a time.
    pub lanes: usize,
    /// Jobs that may wait in a lane before it is full.
    pub queue: usize,
    /// Most jobs of one batch.
    pub batch_jobs: usize,
    /// Weight after which no job is added to a batch.
    pub batch_weight: usize,
}

/// Why a job was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Too many jobs are waiting already.
    #[error("too many jobs are waiting in this lane")]
    Full,
    /// The lanes have stopped.
    #[error("the lane has stopped")]
    Stopped,
}

struct Waiting<J, A> {
    job: J,
    answer: oneshot::Sender<A>,
}

/// A handle on the lanes; they end when the last handle is dropped and all jobs are answered.
#[derive(Debug)]
pub struct Lanes<J, A> {
    senders: Vec<mpsc::Sender<Waiting<J, A>>>,
}

impl<J, A> Clone for Lanes<J, A> {
    fn clone(&self) -> Self {
        Self { senders: self.senders.clone() }
    }
}

impl<J: Send + 'static, A: Send + 'static> Lanes<J, A> {
    /// Starts the lanes. `weigh` tells what a job adds to its batch; `work` does a batch and answers each job,
    /// in order.
    pub fn start<W, F>(options: LaneOptions, scope: &Scope, weigh: fn(&J) -> usize, work: W) -> Self
    where
        W: Fn(Vec<J>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let senders = (0..options.lanes.max(1))
            .map(|_| {
                let (sender, receiver) = mpsc::channel(options.queue.max(1));
                scope.spawn(options.name, run_lane(options, receiver, weigh, work.clone()));
                sender
            })
            .collect();
        Self { senders }
    }

    /// Has a job done by the lane of `key`; refused at once when that lane is full.
    ///
    /// Dropping the future takes the job back as long as its batch has not begun.
    pub async fn submit(&self, key: u64, job: J) -> Result<A, LaneError> {
        let (answer, answered) = oneshot::channel();
        self.lane(key).try_send(Waiting { job, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LaneError::Full,
            mpsc::error::TrySendError::Closed(_) => LaneError::Stopped,
        })?;
        answered.await.map_err(|_| LaneError::Stopped)
    }

    /// As [`Lanes::submit`], but waits for room in the lane.
    pub async fn submit_waiting(&self, key: u64, job: J) -> Result<A, LaneError> {
        let (answer, answered) = oneshot::channel();
        self.lane(key).send(Waiting { job, answer }).await.map_err(|_| LaneError::Stopped)?;
        answered.await.map_err(|_| LaneError::Stopped)
    }

    fn lane(&self, key: u64) -> &mpsc::Sender<Waiting<J, A>> {
        // Fibonacci hashing spreads consecutive keys over the lanes.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let lane = usize::try_from(hash).unwrap_or(0) % self.senders.len();
        &self.senders[lane]
    }
}

async fn run_lane<J, A, W, F>(
    options: LaneOptions,
    mut receiver: mpsc::Receiver<Waiting<J, A>>,
    weigh: fn(&J) -> usize,
    work: W,
) where
    W: Fn(Vec<J>) -> F,
    F: Future<Output = Vec<A>>,
{
    while let Some(first) = receiver.recv().await {
        let (jobs, answers) = gather(options, first, &mut receiver, weigh);
        if jobs.is_empty() {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        metrics::histogram!(telemetry::names::BATCH_SIZE, "lane" => options.name).record(jobs.len() as f64);
        let done = work(jobs).await;
        debug_assert_eq!(done.len(), answers.len(), "every job has an answer");
        for (answer, result) in answers.into_iter().zip(done) {
            // Who asked may have left meanwhile; the job is done all the same.
            drop(answer.send(result));
        }
    }
}

/// Takes what is waiting, up to a batch. Jobs whose askers have left are dropped: they were not begun.
fn gather<J, A>(
    options: LaneOptions,
    first: Waiting<J, A>,
    receiver: &mut mpsc::Receiver<Waiting<J, A>>,
    weigh: fn(&J) -> usize,
) -> (Vec<J>, Vec<oneshot::Sender<A>>) {
    let (mut jobs, mut answers, mut weight) = (Vec::new(), Vec::new(), 0);
    let mut next = Some(first);
    while let Some(Waiting { job, answer }) = next {
        if !answer.is_closed() {
            weight += weigh(&job);
            jobs.push(job);
            answers.push(answer);
        }
        if jobs.len() >= options.batch_jobs || weight >= options.batch_weight {
            break;
        }
        next = receiver.try_recv().ok();
    }
    (jobs, answers)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::Lifecycle;

    const OPTIONS: LaneOptions = LaneOptions { name: "test", lanes: 1, queue: 8, batch_jobs: 4, batch_weight: 100 };

    /// The batches that were begun.
    type Log = Mutex<Vec<Vec<usize>>>;

    /// Lanes whose work waits for a permit per batch and writes down what it was given.
    fn gated(options: LaneOptions, scope: &Scope) -> (Lanes<usize, usize>, Arc<Semaphore>, Arc<Log>) {
        let (gate, log) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (work_gate, work_log) = (Arc::clone(&gate), Arc::clone(&log));
        let lanes = Lanes::start(
            options,
            scope,
            |job| *job,
            move |jobs: Vec<usize>| {
                let (gate, log) = (Arc::clone(&work_gate), Arc::clone(&work_log));
                async move {
                    log.lock().unwrap().push(jobs.clone());
                    gate.acquire().await.unwrap().forget();
                    jobs.into_iter().map(|job| job * 10).collect()
                }
            },
        );
        (lanes, gate, log)
    }

    async fn started(log: &Log, batches: usize) {
        while log.lock().unwrap().len() < batches {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_lane_takes_all_that_waits_and_answers_each() {
        let lifecycle = Lifecycle::for_tests();
        let (lanes, gate, log) = gated(OPTIONS, &lifecycle.scope());
        let submit = |job| {
            let lanes = lanes.clone();
            lifecycle.tracker.spawn(async move { lanes.submit(1, job).await })
        };
        let first = submit(1);
        started(&log, 1).await;
        let rest: Vec<_> = (2..=6).map(submit).collect();
        while lanes.lane(1).capacity() > OPTIONS.queue - rest.len() {
            tokio::task::yield_now().await;
        }
        gate.add_permits(3);
        assert_eq!(first.await.unwrap(), Ok(10));
        for (job, answer) in (2..=6).zip(rest) {
            assert_eq!(answer.await.unwrap(), Ok(job * 10));
        }
        assert_eq!(*log.lock().unwrap(), [vec![1], vec![2, 3, 4, 5], vec![6]]);
    }

    #[tokio::test]
    async fn weight_bounds_a_batch_and_the_queue_is_bounded() {
        let lifecycle = Lifecycle::for_tests();
        let options = LaneOptions { queue: 3, batch_weight: 50, ..OPTIONS };
        let (lanes, gate, log) = gated(options, &lifecycle.scope());
        let submit = |job| {
            let lanes = lanes.clone();
            lifecycle.tracker.spawn(async move { lanes.submit(1, job).await })
        };
        let first = submit(1);
        started(&log, 1).await;
        let rest: Vec<_> = [30, 30, 30].map(submit).into();
        while lanes.lane(1).capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lanes.submit(1, 9).await, Err(LaneError::Full));
        gate.add_permits(3);
        first.await.unwrap().unwrap();
        for answer in rest {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(*log.lock().unwrap(), [vec![1], vec![30, 30], vec![30]]);
    }

    #[tokio::test]
    async fn a_job_is_taken_back_before_its_batch_begins() {
        let lifecycle = Lifecycle::for_tests();
        let (lanes, gate, log) = gated(OPTIONS, &lifecycle.scope());
        let first = {
            let lanes = lanes.clone();
            lifecycle.tracker.spawn(async move { lanes.submit(1, 1).await })
        };
        started(&log, 1).await;
        {
            let mut gone = Box::pin(lanes.submit(1, 2));
            let polled = poll_once(&mut gone).await;
            assert!(polled.is_pending());
        }
        gate.add_permits(2);
        first.await.unwrap().unwrap();
        assert_eq!(lanes.submit(1, 3).await, Ok(30));
        assert_eq!(*log.lock().unwrap(), [vec![1], vec![3]]);
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
        std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))).await
    }
}
