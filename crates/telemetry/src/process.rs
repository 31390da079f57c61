//! The process and the async runtime it is composed on: memory, CPU, open files, threads, tasks, how busy.
//!
//! They are sampled every few seconds and not when they are asked for: a scrape costs the same however often it comes.
//! The runtime is the one [`ProcessMetrics::start`] is called in, on which claims, lanes and deliveries run. HTTP
//! servers answer on single-threaded runtimes of their own, one a thread, which are not measured here: their work shows
//! in the process's CPU time and in the request metrics.

use std::time::Duration;

use metrics::gauge;
use metrics_process::Collector;
use tokio::{
    runtime::{Handle, RuntimeMetrics},
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::names;

/// How old the values of a scrape are at most.
const SAMPLED_EVERY: Duration = Duration::from_secs(5);

/// Keeps the metrics `process_*` and `tokio_*` up to date while [`run`](Self::run) is polled.
#[derive(Debug)]
pub struct ProcessMetrics {
    process: Collector,
    runtime: RuntimeMetrics,
    last: Busy,
}

/// Time that all workers together were busy until some moment.
#[derive(Debug, Clone, Copy)]
struct Busy {
    at: Instant,
    total: Duration,
}

impl ProcessMetrics {
    /// Takes the first sample, so that the first scrape shows every metric.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start() -> Self {
        let (process, runtime) = (Collector::default(), Handle::current().metrics());
        process.describe();
        let last = Busy::until_now(&runtime);
        let mut started = Self { process, runtime, last };
        started.sample();
        started
    }

    /// Samples for ever. Cancel safe.
    pub async fn run(mut self) {
        let mut ticks = interval_at(Instant::now() + SAMPLED_EVERY, SAMPLED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sample();
        }
    }

    fn sample(&mut self) {
        self.process.collect();
        let now = Busy::until_now(&self.runtime);
        let workers = self.runtime.num_workers();
        gauge!(names::TOKIO_WORKERS).set(count(workers));
        gauge!(names::TOKIO_ALIVE_TASKS).set(count(self.runtime.num_alive_tasks()));
        gauge!(names::TOKIO_GLOBAL_QUEUE_DEPTH).set(count(self.runtime.global_queue_depth()));
        gauge!(names::TOKIO_BUSY_RATIO).set(now.share_since(self.last, workers));
        self.last = now;
    }
}

impl Busy {
    fn until_now(runtime: &RuntimeMetrics) -> Self {
        let total = (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum();
        Self { at: Instant::now(), total }
    }

    /// The share of `workers` that was busy since `earlier`. A worker adds up when it pauses, so one that was busy for
    /// long may seem to have been busy for longer than the time that has passed.
    fn share_since(self, earlier: Self, workers: usize) -> f64 {
        let possible = (self.at - earlier.at).as_secs_f64() * count(workers);
        let busy = self.total.saturating_sub(earlier.total).as_secs_f64();
        if possible > 0.0 { (busy / possible).min(1.0) } else { 0.0 }
    }
}

fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports;

    fn value<'a>(text: &'a str, name: &str) -> &'a str {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    #[test]
    fn the_first_sample_has_every_metric() {
        let (recorder, handle) = crate::recorder();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
        metrics::with_local_recorder(&recorder, || {
            names::describe();
            let _entered = runtime.enter();
            ProcessMetrics::start();
        });
        let text = handle.render();
        for name in exports::of(names::Exporter::Process) {
            assert!(text.contains(&format!("# TYPE {name} ")) && text.contains(&format!("# HELP {name} ")), "{text}");
        }
        assert_eq!(value(&text, "tokio_workers"), "3");
        let number = |name| value(&text, name).parse::<f64>().unwrap();
        assert!(number("process_resident_memory_bytes") > 1e6 && number("process_open_fds") > 2.0, "{text}");
    }

    #[test]
    fn the_busy_share_is_of_all_workers_and_at_most_all() {
        let start = Busy { at: Instant::now(), total: Duration::from_secs(7) };
        let after =
            |busy| Busy { at: start.at + Duration::from_secs(5), total: start.total + Duration::from_secs(busy) };
        let close = |share: f64, expected: f64| assert!((share - expected).abs() < 1e-9, "{share}");
        close(after(5).share_since(start, 2), 0.5);
        close(after(60).share_since(start, 2), 1.0);
        close(start.share_since(start, 2), 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn samples_follow_the_tasks_that_live() {
        let (recorder, handle) = crate::recorder();
        let _recorder = metrics::set_default_local_recorder(&recorder);
        let mut running = Box::pin(ProcessMetrics::start().run());
        assert_eq!(value(&handle.render(), "tokio_alive_tasks"), "0");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            tasks.spawn(std::future::pending::<()>());
        }
        let later = tokio::time::timeout(SAMPLED_EVERY + Duration::from_secs(1), &mut running).await;
        assert!(later.is_err(), "it samples for ever");
        assert_eq!(value(&handle.render(), "tokio_alive_tasks"), "4");
    }
}
