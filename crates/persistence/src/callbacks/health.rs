//! What the ends of attempts make of an endpoint: let alone for a while, or told nothing any more.

use std::time::Duration;

use domain::callback::schedule::{FAILING_TO_DISABLE, pause_after};

/// How an endpoint stands while ends are counted, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    /// In a row.
    pub(super) failures: u32,
    /// Since the first of them, where there was one before.
    pub(super) failing_for: Option<Duration>,
    /// Whether it is let alone now: what comes back meanwhile had been sent before.
    pub(super) is_paused: bool,
    pub(super) enabled: bool,
    /// Whether it took something since this was read: what fails afterwards is the first of its row.
    pub(super) has_worked: bool,
    /// What is to be written.
    pub(super) change: Option<Verdict>,
}

/// What is made of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It took something.
    Works,
    /// It did not, so often in a row; `pause` is for how long it is let alone. Since now where the row `begins_now`.
    Fails { failures: u32, pause: Option<Duration>, begins_now: bool },
    /// It is told nothing any more.
    Disabled(&'static str),
}

impl Health {
    pub(super) fn success(&mut self) {
        if self.failures > 0 && self.enabled {
            self.failures = 0;
            self.failing_for = None;
            self.is_paused = false;
            self.has_worked = true;
            self.change = Some(Verdict::Works);
        }
    }

    /// `is_gone` where the endpoint says that it wants nothing any more.
    pub(super) fn failure(&mut self, is_gone: bool) {
        if !self.enabled {
            return;
        }
        let failing_for = *self.failing_for.get_or_insert(Duration::ZERO);
        if is_gone {
            return self.disable("gone");
        }
        if failing_for >= FAILING_TO_DISABLE {
            return self.disable("failing");
        }
        if self.is_paused {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let pause = pause_after(self.failures);
        self.is_paused = pause.is_some();
        self.change = Some(Verdict::Fails { failures: self.failures, pause, begins_now: self.has_worked });
    }

    fn disable(&mut self, reason: &'static str) {
        self.enabled = false;
        self.change = Some(Verdict::Disabled(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Health {
        Health { failures: 0, failing_for: None, is_paused: false, enabled: true, has_worked: false, change: None }
    }

    fn fails(failures: u32, pause: Option<Duration>) -> Verdict {
        Verdict::Fails { failures, pause, begins_now: false }
    }

    #[test]
    fn five_failures_in_a_row_pause_and_later_ones_of_the_same_time_do_not_count() {
        let mut health = healthy();
        (0..4).for_each(|_| health.failure(false));
        assert_eq!(health.change, Some(fails(4, None)));
        (0..8).for_each(|_| health.failure(false));
        assert_eq!(health.change, Some(fails(5, Some(Duration::from_secs(30)))));
        // The probe after the pause.
        health.is_paused = false;
        health.failure(false);
        assert_eq!(health.change, Some(fails(6, Some(Duration::from_mins(1)))));
        health.success();
        assert_eq!((health.change, health.failures), (Some(Verdict::Works), 0));
    }

    #[test]
    fn a_success_of_a_healthy_endpoint_writes_nothing() {
        let mut health = healthy();
        health.success();
        assert_eq!(health, healthy());
    }

    #[test]
    fn what_fails_after_it_worked_fails_since_then() {
        let mut health = Health { failing_for: Some(FAILING_TO_DISABLE), failures: 30, ..healthy() };
        health.success();
        (0..2).for_each(|_| health.failure(false));
        assert_eq!(health.change, Some(Verdict::Fails { failures: 2, pause: None, begins_now: true }));
        assert!(health.enabled, "the five days are over");
    }

    #[test]
    fn what_fails_for_five_days_or_is_gone_is_told_nothing_any_more() {
        let mut health = Health { failing_for: Some(FAILING_TO_DISABLE), failures: 30, ..healthy() };
        health.failure(false);
        assert_eq!((health.change, health.enabled), (Some(Verdict::Disabled("failing")), false));
        health.success();
        assert_eq!(health.change, Some(Verdict::Disabled("failing")), "a late answer changes nothing");
        let mut health = healthy();
        health.failure(true);
        assert_eq!(health.change, Some(Verdict::Disabled("gone")));
    }
}
