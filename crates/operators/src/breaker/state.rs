//! The breaker's rules as a plain state machine: no locks, no clock of its own.
//!
//! ```text
//! closed --failure_threshold failures in a row--> open --open_timeout--> half-open
//! half-open --success_threshold successes--> closed        half-open --one failure--> open
//! ```

use tokio::time::Instant;

use crate::BreakerConfig;

/// The three states, without their data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    HalfOpen,
    Open,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    /// The value of the gauge.
    pub(crate) fn as_gauge(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    HalfOpen { running: u32, successes: u32 },
    Open { until: Instant },
}

/// The right to make one call, given out by one state. It expires with the next change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    generation: u64,
}

/// The state machine of one operator's breaker.
#[derive(Debug)]
pub(crate) struct Machine {
    config: BreakerConfig,
    phase: Phase,
    /// Counts changes of state, so that a late result of an earlier state is recognised and ignored.
    generation: u64,
}

impl Machine {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self { config, phase: Phase::Closed { failures: 0 }, generation: 0 }
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Open { .. } => State::Open,
        }
    }

    /// Asks for one call; `None` means that it must not be made.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<Ticket> {
        if matches!(self.phase, Phase::Open { until } if until <= now) {
            self.enter(Phase::HalfOpen { running: 0, successes: 0 });
        }
        match &mut self.phase {
            Phase::Closed { .. } => {}
            // Successes count too: never more probes than are needed to close.
            Phase::HalfOpen { running, successes } if *running + *successes < self.config.success_threshold => {
                *running += 1;
            }
            Phase::HalfOpen { .. } | Phase::Open { .. } => return None,
        }
        Some(Ticket { generation: self.generation })
    }

    /// Whether a call at `now` would be refused because the breaker is open.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Open { until } if until > now)
    }

    pub(crate) fn succeeded(&mut self, ticket: Ticket) {
        if ticket.generation != self.generation {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failures } => *failures = 0,
            Phase::HalfOpen { running, successes } => {
                *running -= 1;
                *successes += 1;
                if *successes >= self.config.success_threshold {
                    self.enter(Phase::Closed { failures: 0 });
                }
            }
            Phase::Open { .. } => {}
        }
    }

    pub(crate) fn failed(&mut self, ticket: Ticket, now: Instant) {
        if ticket.generation != self.generation {
            return;
        }
        let opens = match &mut self.phase {
            Phase::Closed { failures } => {
                *failures += 1;
                *failures >= self.config.failure_threshold
            }
            Phase::HalfOpen { .. } => true,
            Phase::Open { .. } => false,
        };
        if opens {
            self.enter(Phase::Open { until: now + self.config.open_timeout });
        }
    }

    /// The call was given up before it had a result: it counts as nothing, but its place is free again.
    pub(crate) fn abandoned(&mut self, ticket: Ticket) {
        if let Phase::HalfOpen { running, .. } = &mut self.phase
            && ticket.generation == self.generation
        {
            *running -= 1;
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OPEN: Duration = Duration::from_secs(5);

    fn machine() -> (Machine, Instant) {
        let config = BreakerConfig { failure_threshold: 3, success_threshold: 2, open_timeout: OPEN };
        (Machine::new(config), Instant::now())
    }

    fn fail(machine: &mut Machine, now: Instant) {
        let ticket = machine.admit(now).expect("admitted");
        machine.failed(ticket, now);
    }

    fn opened() -> (Machine, Instant) {
        let (mut machine, now) = machine();
        for _ in 0..3 {
            fail(&mut machine, now);
        }
        (machine, now)
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let (mut machine, now) = machine();
        fail(&mut machine, now);
        fail(&mut machine, now);
        let ticket = machine.admit(now).expect("closed");
        machine.succeeded(ticket);
        fail(&mut machine, now);
        fail(&mut machine, now);
        assert_eq!(machine.state(), State::Closed);
        fail(&mut machine, now);
        assert_eq!(machine.state(), State::Open);
    }

    #[test]
    fn open_refuses_until_its_time_is_over() {
        let (mut machine, now) = opened();
        let just_before = now + OPEN.checked_sub(Duration::from_millis(1)).expect("longer");
        assert!(machine.admit(now).is_none() && machine.is_open(now));
        assert!(machine.admit(just_before).is_none() && machine.is_open(just_before));
        assert!(!machine.is_open(now + OPEN));
        assert!(machine.admit(now + OPEN).is_some());
        assert_eq!(machine.state(), State::HalfOpen);
    }

    #[test]
    fn half_open_lets_only_the_needed_probes_through_and_closes() {
        let (mut machine, now) = opened();
        let later = now + OPEN;
        let first = machine.admit(later).expect("first probe");
        let second = machine.admit(later).expect("second probe");
        assert!(machine.admit(later).is_none());
        machine.succeeded(first);
        assert!(machine.admit(later).is_none(), "one success and one running probe are enough");
        machine.succeeded(second);
        assert_eq!(machine.state(), State::Closed);
        assert!(machine.admit(later).is_some());
    }

    #[test]
    fn one_failed_probe_opens_it_again_for_the_whole_time() {
        let (mut machine, now) = opened();
        let later = now + OPEN;
        let first = machine.admit(later).expect("first probe");
        let second = machine.admit(later).expect("second probe");
        machine.failed(first, later);
        assert_eq!(machine.state(), State::Open);
        machine.succeeded(second);
        assert_eq!(machine.state(), State::Open, "a late success closes nothing");
        assert!(machine.admit(later + OPEN / 2).is_none());
        assert!(machine.admit(later + OPEN).is_some());
    }

    #[test]
    fn late_results_of_an_earlier_state_are_ignored() {
        let (mut machine, now) = machine();
        let old: Vec<_> = (0..4).map(|_| machine.admit(now).expect("closed")).collect();
        for _ in 0..3 {
            fail(&mut machine, now);
        }
        machine.failed(old[0], now + OPEN / 2);
        let probe = machine.admit(now + OPEN).expect("late failures do not prolong the wait");
        machine.failed(old[1], now + OPEN);
        assert_eq!(machine.state(), State::HalfOpen, "a late failure does not open it again");
        machine.succeeded(old[2]);
        machine.abandoned(old[3]);
        machine.succeeded(probe);
        assert_eq!(machine.state(), State::HalfOpen, "a late success is not a probe");
    }

    #[test]
    fn an_abandoned_probe_frees_its_place() {
        let (mut machine, now) = opened();
        let later = now + OPEN;
        let probe = machine.admit(later).expect("first probe");
        machine.admit(later).expect("second probe");
        assert!(machine.admit(later).is_none());
        machine.abandoned(probe);
        assert!(machine.admit(later).is_some());
        assert!(machine.admit(later).is_none());
    }
}
