//! From start to exit code: signals, tracked tasks, an orderly end.
//!
//! A process ends in three steps. `stop` is cancelled, by SIGTERM, SIGINT or a task that failed: nothing new is
//! taken in, what runs is finished. When the last task has returned, or the drain time is over, `finish` is
//! cancelled: what the tasks relied on (admin server, connections) closes. Then the exit code tells whether all
//! went well. A second signal ends the waiting at once.

mod signals;
mod task;

use std::{
    collections::BTreeMap,
    fmt, io,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use telemetry::ProcessMetrics;
use tokio::time::{Instant, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

pub use task::TaskOutput;

/// How long supporting tasks may take to close, after the drain: a second longer than a session waits for its SMSC to let it go.
const FINISH_LIMIT: Duration = Duration::from_secs(6);

/// The life of one process, or of one service in a test.
#[derive(Debug)]
pub struct Lifecycle {
    /// Cancelled when no new work is to be taken in.
    pub stop: CancellationToken,
    /// Counts the tasks that the drain waits for.
    pub tracker: TaskTracker,
    scope: Scope,
    signals: Option<signals::Listener>,
}

/// What a service needs of a [`Lifecycle`] to run its tasks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Cancelled when no new work is to be taken in.
    pub stop: CancellationToken,
    /// Counts the tasks that the drain waits for.
    pub tracker: TaskTracker,
    /// Cancelled after the drain: what tasks relied on may close now.
    pub finish: CancellationToken,
    shared: Arc<Shared>,
}

/// What all scopes of a lifecycle have in common.
struct Shared {
    /// Stops the whole process, not only one scope.
    stop: CancellationToken,
    /// Ends all waiting.
    abort: CancellationToken,
    supporters: TaskTracker,
    failed: AtomicBool,
    running: Mutex<BTreeMap<&'static str, usize>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("failed", &self.failed)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// A lifecycle that listens for SIGTERM and SIGINT from now on: the first stops in order, the second at once.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The signal handlers could not be installed.
    pub fn new() -> io::Result<Self> {
        let mut lifecycle = Self::for_tests();
        let Shared { stop, abort, .. } = &*lifecycle.scope.shared;
        lifecycle.signals = Some(signals::Listener::start(stop.clone(), abort.clone())?);
        Ok(lifecycle)
    }

    /// A lifecycle without signals: a test cancels `stop` itself.
    pub fn for_tests() -> Self {
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let shared = Shared {
            stop: stop.clone(),
            abort: CancellationToken::new(),
            supporters: TaskTracker::new(),
            failed: AtomicBool::new(false),
            running: Mutex::default(),
        };
        let scope = Scope {
            stop: stop.clone(),
            tracker: tracker.clone(),
            finish: CancellationToken::new(),
            shared: Arc::new(shared),
        };
        Self { stop, tracker, scope, signals: None }
    }

    /// A handle to start tasks with; several services may share one lifecycle.
    ///
    /// Its `stop` can be cancelled alone and follows that of the lifecycle.
    pub fn scope(&self) -> Scope {
        Scope { stop: self.stop.child_token(), ..self.scope.clone() }
    }

    /// Waits for `stop`, then for the tasks, up to `drain`, and closes.
    ///
    /// The exit code is 0 when every task ended by itself and none failed; otherwise it is 1.
    pub async fn run(self, drain: Duration) -> ExitCode {
        self.stop.cancelled().await;
        let drained = self.drain(drain).await;
        let finished = self.close_support().await;
        drop(self.signals);
        let failed = self.scope.shared.failed.load(Ordering::SeqCst);
        if drained && finished && !failed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    async fn drain(&self, limit: Duration) -> bool {
        let start = Instant::now();
        info!(
            tasks = self.scope.running(),
            limit_seconds = limit.as_secs_f64(),
            "stopping: no new work is taken in, running work is finished"
        );
        self.tracker.close();
        let graceful =
            self.unless_aborted(timeout(limit, self.tracker.wait())).await.is_some_and(|ended| ended.is_ok());
        let elapsed_seconds = start.elapsed().as_secs_f64();
        if graceful {
            info!(graceful, elapsed_seconds, "all running work is finished");
        } else {
            warn!(graceful, elapsed_seconds, tasks = self.scope.running(), "work was cut off before it was finished");
        }
        graceful
    }

    async fn close_support(&self) -> bool {
        let Scope { finish, shared, .. } = &self.scope;
        finish.cancel();
        shared.supporters.close();
        let ended = self.unless_aborted(timeout(FINISH_LIMIT, shared.supporters.wait())).await;
        let in_time = ended.is_some_and(|ended| ended.is_ok());
        if !in_time {
            warn!(tasks = self.scope.running(), "supporting tasks did not close in time");
        }
        in_time
    }

    async fn unless_aborted<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        self.scope.shared.abort.run_until_cancelled(waiting).await
    }
}

impl Scope {
    /// Runs a task that the drain waits for. It may return at any time, and must when `stop` is cancelled.
    ///
    /// An error or a panic stops the process with a non-zero exit code.
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        self.spawn_on(&self.tracker, name, future);
    }

    /// As [`spawn`](Self::spawn), for a task that knows nothing of stopping: it is dropped when `stop` is cancelled.
    pub fn spawn_until_stopped<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            stop.run_until_cancelled(Box::pin(future)).await;
        });
    }

    /// Runs a task that others rely on and that must outlive them, such as the admin server or a connection.
    /// It must return when `finish` is cancelled. Errors and panics count as in [`spawn`](Self::spawn).
    pub fn spawn_support<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        self.spawn_on(&self.shared.supporters, name, future);
    }

    /// Keeps the metrics of the process and of the runtime this is called in up to date, until after the drain.
    pub fn measure_process(&self) {
        let (measuring, finish) = (ProcessMetrics::start(), self.finish.clone());
        self.spawn_support("process metrics", async move {
            finish.run_until_cancelled(measuring.run()).await;
        });
    }

    /// A tracker for tasks that a library spawns by itself and ends when `finish` is cancelled, such as those of a
    /// broker's connection. They are waited for as supporting tasks.
    pub fn support_tasks(&self, name: &'static str) -> TaskTracker {
        let tasks = TaskTracker::new();
        let (waited_for, finish) = (tasks.clone(), self.finish.clone());
        self.spawn_support(name, async move {
            finish.cancelled().await;
            waited_for.close();
            waited_for.wait().await;
        });
        tasks
    }

    fn spawn_on<F>(&self, tracker: &TaskTracker, name: &'static str, future: F)
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        *shared.running().entry(name).or_default() += 1;
        let task = tracker.spawn(async move { future.await.into_result() });
        // A second task watches the first: it sees a panic too. Both are tracked, so the drain waits for the verdict.
        tracker.spawn(async move {
            let result = task::verdict(task.await);
            shared.ended(name);
            if let Err(error) = result {
                shared.fail(name, &error);
            }
        });
    }

    /// The names of the tasks still running, with their number where it is more than one.
    fn running(&self) -> String {
        let running = self.shared.running();
        let names = running
            .iter()
            .map(|(name, count)| if *count == 1 { (*name).to_owned() } else { format!("{name} x{count}") });
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Shared {
    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, name: &'static str) {
        let mut running = self.running();
        if let Some(count) = running.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                running.remove(name);
            }
        }
    }

    fn fail(&self, task: &'static str, error: &str) {
        error!(task, error, "a task failed, the process stops");
        self.failed.store(true, Ordering::SeqCst);
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests;
