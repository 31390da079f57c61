//! Whether services are ready while the schema changes below them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::fleet::Fleet;

const POLL: Duration = Duration::from_millis(100);
/// What a service says that is kept off.
const KEPT_OFF: &str = "schema_too_new";

/// What was seen since a change began.
pub(super) struct Watch {
    began: Instant,
    seen: Seen,
}

/// When services were first seen so, from the beginning.
#[derive(Debug, Default)]
struct Seen {
    services: BTreeSet<String>,
    kept_off: BTreeMap<String, Duration>,
    /// With the answer.
    unready: BTreeMap<String, (Duration, String)>,
}

impl Watch {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), seen: Seen::default() }
    }

    /// Looks until the work is done.
    pub(super) async fn during<T>(&mut self, fleet: &Fleet, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.look(fleet) => {}
            }
        }
    }

    /// Looks until all are kept off, or so much time has passed since the beginning.
    pub(super) async fn until_kept_off(&mut self, fleet: &Fleet, limit: Duration) {
        while self.began.elapsed() < limit && !self.seen.are_all_kept_off() {
            self.look(fleet).await;
        }
    }

    /// Services that were not kept off by then, in words.
    pub(super) fn not_kept_off(&self, limit: Duration) -> Vec<String> {
        self.seen.not_kept_off(limit)
    }

    /// Services that were not ready all the time, in words.
    pub(super) fn not_ready(&self) -> Vec<String> {
        self.seen.not_ready()
    }

    async fn look(&mut self, fleet: &Fleet) {
        for (name, answer) in fleet.readiness().await {
            self.seen.note(name, answer, self.began.elapsed());
        }
        sleep(POLL).await;
    }
}

impl Seen {
    fn note(&mut self, name: &str, answer: Option<(u16, String)>, at: Duration) {
        self.services.insert(name.to_owned());
        let (status, body) = answer.unwrap_or_else(|| (0, "no answer".to_owned()));
        if status == 503 && body.contains(KEPT_OFF) {
            self.kept_off.entry(name.to_owned()).or_insert(at);
        }
        if status != 200 {
            self.unready.entry(name.to_owned()).or_insert((at, body));
        }
    }

    fn are_all_kept_off(&self) -> bool {
        !self.services.is_empty() && self.services.iter().all(|name| self.kept_off.contains_key(name))
    }

    fn not_kept_off(&self, limit: Duration) -> Vec<String> {
        let late = |name: &&String| self.kept_off.get(*name).is_none_or(|at| *at > limit);
        let late = self.services.iter().filter(late);
        late.map(|name| format!("the {name} was not kept off {limit:?} after migrate up began")).collect()
    }

    fn not_ready(&self) -> Vec<String> {
        let unready = self.unready.iter();
        unready
            .map(|(name, (at, body))| format!("the {name} was not ready {at:.1?} after migrate up began: {body}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn seen(looks: &[(&str, u16, &str, u64)]) -> Seen {
        let mut seen = Seen::default();
        for (name, status, body, second) in looks {
            seen.note(name, Some((*status, (*body).to_owned())), Duration::from_secs(*second));
        }
        seen
    }

    #[test]
    fn services_that_go_on_are_ready_all_the_time() {
        assert!(seen(&[("gateway", 200, "{}", 1), ("relay", 200, "{}", 1)]).not_ready().is_empty());
        let once = seen(&[("gateway", 200, "{}", 1), ("gateway", 503, "mysql", 2), ("gateway", 200, "{}", 3)]);
        assert_eq!(once.not_ready(), ["the gateway was not ready 2.0s after migrate up began: mysql"]);
        let mut silent = Seen::default();
        silent.note("relay", None, LIMIT);
        assert!(silent.not_ready()[0].ends_with("no answer"));
    }

    #[test]
    fn services_are_kept_off_by_the_schema_and_in_time() {
        let off = |second| seen(&[("gateway", 503, KEPT_OFF, second), ("relay", 503, KEPT_OFF, 2)]);
        assert!(off(10).are_all_kept_off() && off(10).not_kept_off(LIMIT).is_empty());
        assert_eq!(off(11).not_kept_off(LIMIT), ["the gateway was not kept off 10s after migrate up began"]);
        let other = seen(&[("gateway", 503, "unavailable", 1), ("relay", 503, KEPT_OFF, 2)]);
        assert!(!other.are_all_kept_off() && other.not_kept_off(LIMIT).len() == 1);
        assert!(!Seen::default().are_all_kept_off());
    }
}
