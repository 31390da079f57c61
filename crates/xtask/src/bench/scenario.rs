//! What the scenarios load the platform with.

use std::time::Duration;

use clap::ValueEnum;
use loadtest::{Load, LoadArgs};

/// A named load with its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Scenario {
    /// A fixed rate from many users
    #[default]
    Steady,
    /// The highest rate that is accepted and delivered without a growing backlog
    Saturate,
    /// The same with one customer who sends everything
    Hot,
    /// Express messages while 100,000 normal ones wait
    ExpressUnderBacklog,
    /// Requests with 1,000 recipients
    Fanout,
    /// Claims of a relay with 0 to 1,000,000 events waiting, without the services
    Backlog,
}

/// How a load is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As it is.
    Fixed,
    /// Beginning with its rate, the highest one is looked for in steps of this length; that one is measured.
    Highest { step: Duration },
}

/// A scenario in numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) load: Load,
    pub(crate) mode: Mode,
    /// Normal messages that wait when the relay starts.
    pub(crate) waiting: u64,
    /// Settings of the gateway beyond switched-off rate limits.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    pub(crate) notes: Vec<String>,
}

const STEP: Duration = Duration::from_secs(6);
const WAITING: u64 = 100_000;

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Saturate => "saturate",
            Self::Hot => "hot",
            Self::ExpressUnderBacklog => "express-under-backlog",
            Self::Fanout => "fanout",
            Self::Backlog => "backlog",
        }
    }

    /// What it offers where nothing is changed.
    pub(crate) fn load(self) -> Load {
        match self {
            Self::Steady | Self::Backlog => Load::default(),
            Self::Saturate => Load { duration: Duration::from_secs(20), ..Load::default() },
            Self::Hot => Load { users: 1, duration: Duration::from_secs(20), ..Load::default() },
            Self::ExpressUnderBacklog => {
                Load { rps: 200.0, express_ratio: 1.0, duration: Duration::from_secs(20), ..Load::default() }
            }
            Self::Fanout => Load { rps: 2.0, recipients: 1_000, ..Load::default() },
        }
    }

    /// The scenario with what the user changed.
    pub(crate) fn plan(self, changes: &LoadArgs) -> Plan {
        let mut plan = Plan {
            load: changes.over(self.load()),
            mode: Mode::Fixed,
            waiting: 0,
            settings: Vec::new(),
            notes: vec!["rate limits off (GLOBAL_RATE_LIMIT_RPS=0 USER_RATE_LIMIT_RPS=0)".to_owned()],
        };
        match self {
            Self::Saturate | Self::Hot => plan.mode = Mode::Highest { step: STEP },
            Self::ExpressUnderBacklog => {
                plan.waiting = WAITING;
                plan.settings.push(("BACKPRESSURE_ENABLED", "false"));
                plan.notes.push(format!("{WAITING} normal messages waited in the outbox when the relay started"));
                plan.notes.push("backpressure off, for it refuses above 10,000 waiting events".to_owned());
            }
            Self::Steady | Self::Fanout | Self::Backlog => {}
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_differ_in_what_their_names_say() {
        let plan = |scenario: Scenario| scenario.plan(&LoadArgs::default());
        assert_eq!(plan(Scenario::Steady).load, Load::default());
        assert_eq!(plan(Scenario::Hot).load.users, 1);
        assert_eq!(plan(Scenario::Fanout).load.recipients, 1_000);
        let express = plan(Scenario::ExpressUnderBacklog);
        assert_eq!((express.waiting, express.load.express_ratio.to_bits()), (WAITING, 1.0f64.to_bits()));
        assert!(express.settings.contains(&("BACKPRESSURE_ENABLED", "false")));
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        for scenario in Scenario::value_variants() {
            let value = scenario.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), scenario.name());
        }
    }
}
