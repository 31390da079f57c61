//! Whether a process can do its work: the checks behind `/readyz`.
//!
//! Probes come from several places at once and may come often. All that ask at the same moment share one run of
//! the checks, and its result serves for a quarter of a second, so probing never loads what it probes.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout},
};

/// The longest one check may take; a slower dependency counts as unavailable.
const CHECK_LIMIT: Duration = Duration::from_millis(800);

/// How long a result is reused.
const REUSED_FOR: Duration = Duration::from_millis(250);

/// A dependency that answers.
pub const OK: &str = "ok";

/// A dependency that does not answer, or too late.
pub const UNAVAILABLE: &str = "unavailable";

/// What a check found of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    word: &'static str,
    serves: bool,
}

impl Finding {
    /// It answers.
    pub const OK: Self = Self { word: OK, serves: true };
    /// It does not answer, or too late.
    pub const UNAVAILABLE: Self = Self { word: UNAVAILABLE, serves: false };

    /// In between, in one word of its own: with `serves`, the process can do its work all the same.
    pub const fn degraded(word: &'static str, serves: bool) -> Self {
        Self { word, serves }
    }
}

impl From<bool> for Finding {
    fn from(answers: bool) -> Self {
        if answers { Self::OK } else { Self::UNAVAILABLE }
    }
}

/// What a failed check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The process is not ready without this dependency.
    Required,
    /// The dependency is reported, the process stays ready without it.
    Reported,
}

pub use Requirement::{Reported, Required};

type Probe = dyn Fn() -> Pin<Box<dyn Future<Output = Finding> + Send>> + Send + Sync;

struct Check {
    name: Cow<'static, str>,
    requirement: Requirement,
    probe: Box<Probe>,
}

/// The checks of a process. Cheap to clone; clones share their runs.
#[derive(Clone)]
pub struct Health {
    checks: Arc<Vec<Check>>,
    shared: Arc<Shared>,
}

/// One run at a time, and the result of the last.
struct Shared {
    running: Semaphore,
    last: Mutex<Option<(Instant, HealthReport)>>,
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.checks.iter().map(|check| (&check.name, check.requirement))).finish()
    }
}

/// What one run of the checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// Whether all required dependencies serve.
    pub ready: bool,
    /// Each dependency by name: [`OK`], [`UNAVAILABLE`], or a word for something in between.
    pub dependencies: BTreeMap<Cow<'static, str>, &'static str>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// No checks: always ready.
    pub fn new() -> Self {
        let shared = Shared { running: Semaphore::new(1), last: Mutex::new(None) };
        Self { checks: Arc::new(Vec::new()), shared: Arc::new(shared) }
    }

    /// Adds a check. `probe` tells how the dependency `name` is, by a [`Finding`] or by whether it is available.
    ///
    /// Its future is dropped after 800 ms, and when whoever asked goes away: it must be cancel safe.
    ///
    /// # Panics
    /// When called on a clone, or after one was made: checks are added while the process is composed.
    #[must_use]
    pub fn check<F, Fut>(mut self, name: impl Into<Cow<'static, str>>, requirement: Requirement, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Into<Finding>> + Send + 'static,
    {
        let probe: Box<Probe> = Box::new(move || {
            let finding = probe();
            Box::pin(async move { finding.await.into() })
        });
        let checks = Arc::get_mut(&mut self.checks).expect("checks are added before the health is cloned");
        checks.push(Check { name: name.into(), requirement, probe });
        self
    }

    /// Runs the checks at the same time, or takes the result of a run that has just ended. Takes 800 ms at most,
    /// twice that when it has to wait for a run that was given up.
    pub async fn report(&self) -> HealthReport {
        let _one_at_a_time = self.shared.running.acquire().await.expect("the semaphore is never closed");
        if let Some(report) = self.recent() {
            return report;
        }
        let report = self.run().await;
        *self.last() = Some((Instant::now(), report.clone()));
        report
    }

    fn recent(&self) -> Option<HealthReport> {
        let last = self.last();
        let (at, report) = last.as_ref()?;
        (at.elapsed() < REUSED_FOR).then(|| report.clone())
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<(Instant, HealthReport)>> {
        self.shared.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self) -> HealthReport {
        let mut findings: BTreeMap<_, _> =
            self.checks.iter().map(|check| (check.name.clone(), Finding::UNAVAILABLE)).collect();
        // Tasks of their own: a check that panics is unavailable and takes nothing else with it.
        let mut running = JoinSet::new();
        for check in self.checks.iter() {
            let (name, probe) = (check.name.clone(), (check.probe)());
            running.spawn(async move { (name, timeout(CHECK_LIMIT, probe).await.unwrap_or(Finding::UNAVAILABLE)) });
        }
        while let Some(ended) = running.join_next().await {
            findings.extend(ended.ok());
        }
        let mut required = self.checks.iter().filter(|check| check.requirement == Required);
        let ready = required.all(|check| findings.get(&check.name).is_some_and(|finding| finding.serves));
        let dependencies = findings.into_iter().map(|(name, finding)| (name, finding.word)).collect();
        HealthReport { ready, dependencies }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use tokio::time::{advance, sleep};

    use super::*;

    fn dependencies(report: &HealthReport) -> Vec<(&str, &str)> {
        report.dependencies.iter().map(|(name, state)| (&**name, *state)).collect()
    }

    #[tokio::test]
    async fn only_required_dependencies_decide() {
        assert!(Health::new().report().await.ready);

        let health =
            Health::new().check("mysql", Required, || ready(true)).check("rabbitmq", Reported, || ready(false));
        let report = health.report().await;
        assert!(report.ready);
        assert_eq!(dependencies(&report), [("mysql", "ok"), ("rabbitmq", "unavailable")]);

        let health =
            Health::new().check("rabbitmq", Required, || ready(false)).check("mysql", Required, || ready(true));
        let report = health.report().await;
        assert!(!report.ready);
        assert_eq!(dependencies(&report), [("mysql", "ok"), ("rabbitmq", "unavailable")]);
    }

    #[tokio::test]
    async fn what_is_in_between_is_named_and_decides_as_it_serves() {
        for (serves, requirement, expected) in
            [(true, Required, true), (false, Required, false), (false, Reported, true)]
        {
            let probe = move || ready(Finding::degraded("read_only", serves));
            let report = Health::new().check("mysql", requirement, probe).report().await;
            assert_eq!((report.ready, dependencies(&report)), (expected, vec![("mysql", "read_only")]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_unavailable_after_800_ms_and_delays_no_other() {
        let health = Health::new().check("mysql", Required, pending::<bool>).check("rabbitmq", Required, || async {
            sleep(Duration::from_millis(799)).await;
            true
        });
        let start = Instant::now();
        let report = timeout(CHECK_LIMIT * 2, health.report()).await.expect("each check is bounded");
        assert_eq!(start.elapsed(), Duration::from_millis(800));
        assert_eq!(dependencies(&report), [("mysql", "unavailable"), ("rabbitmq", "ok")]);
    }

    #[tokio::test]
    async fn a_check_that_panics_is_unavailable() {
        fn broken() -> bool {
            panic!("a bug in the check")
        }
        let health =
            Health::new().check("mysql", Required, || async { broken() }).check("rabbitmq", Required, || ready(true));
        let report = health.report().await;
        assert!(!report.ready);
        assert_eq!(dependencies(&report), [("mysql", "unavailable"), ("rabbitmq", "ok")]);
    }

    /// A check that takes 100 ms and counts its runs.
    fn counted(runs: &Arc<AtomicUsize>) -> Health {
        let runs = Arc::clone(runs);
        Health::new().check("mysql", Required, move || {
            runs.fetch_add(1, Ordering::SeqCst);
            async {
                sleep(Duration::from_millis(100)).await;
                true
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn probes_at_the_same_moment_share_one_run() {
        let runs = Arc::new(AtomicUsize::new(0));
        let health = counted(&runs);
        let mut probes = JoinSet::new();
        for _ in 0..50 {
            let health = health.clone();
            probes.spawn(async move { health.report().await.ready });
        }
        assert!(probes.join_all().await.into_iter().all(|ready| ready));
        assert_eq!(runs.load(Ordering::SeqCst), 1);

        advance(Duration::from_millis(249)).await;
        health.report().await;
        assert_eq!(runs.load(Ordering::SeqCst), 1, "reused for 250 ms");
        advance(Duration::from_millis(1)).await;
        health.report().await;
        assert_eq!(runs.load(Ordering::SeqCst), 2, "and no longer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_gives_up_does_not_hold_up_the_next() {
        let runs = Arc::new(AtomicUsize::new(0));
        let health = counted(&runs);
        let gave_up = timeout(Duration::from_millis(10), health.report()).await;
        assert!(gave_up.is_err());
        assert!(health.report().await.ready);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_once_the_result_is_old() {
        let up = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&up);
        let health = Health::new().check("mysql", Required, move || ready(seen.load(Ordering::SeqCst)));
        assert!(health.report().await.ready);
        up.store(false, Ordering::SeqCst);
        advance(REUSED_FOR).await;
        assert!(!health.report().await.ready);
    }
}
