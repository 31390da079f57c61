//! Delivers messages: takes them under a lease, calls the operators, records the outcome with its refund, and only
//! then acknowledges.
//!
//! A message may arrive any number of times, in any order, at any worker. Its row decides: what is final stays
//! final, what another worker holds is waited for, and what a crashed worker left is asked about again with the same
//! idempotency key.

// The state machines of a delivery, its operators' layers and its statements nest deeper than the default allows.
#![recursion_limit = "256"]

mod age;
mod consume;
mod deliver;
mod end;
mod late;
mod reports;
mod sending;
mod series;
mod settings;
mod state_writer;
mod turn;

pub use self::{
    sending::Sending,
    settings::{ADMIN_ADDR, Settings, WorkerConfig},
};

use broker::{Broker, Condition};
use callbacks::OperatorSecrets;
use domain::Lane;
use operators::{Operators, SessionsState};
use persistence::{Database, Readiness};
use service_kit::{
    Health, Scope,
    health::{Finding, Reported, Required},
};

use crate::{
    consume::Consume, deliver::Deliver, end::Rules, late::LateAnswers, reports::Reports, state_writer::StateWriter,
};

/// Recipients taken together: few enough for one round of calls at the same time.
pub(crate) const CHUNK: usize = 64;

/// Starts the consumers on `scope`. When the scope stops they take no more and finish what they have.
pub fn start(config: &WorkerConfig, database: &Database, broker: &Broker, sending: Sending, scope: &Scope) {
    let Sending { operators, told, late } = sending;
    let rules = Rules::new(&operators, &config.receipt_secrets);
    series::start(broker.topology(), &config.receipt_secrets, &operators);
    warn_of_unknown(&config.receipt_secrets, &operators);
    // Until sessions unbind; what an SMSC tells after that it is asked to tell again. What it answers late it says but once.
    let reports = Reports { database: database.clone(), told };
    scope.spawn_support("reports of operators", reports.run(scope.finish.clone()));
    let late = LateAnswers { database: database.clone(), rules: rules.clone(), told: late };
    scope.spawn_support("late answers of operators", late.run(scope.finish.clone()));
    scope.spawn_until_stopped("callback customers", database.clone().watch_callback_customers());
    for lane in Lane::ALL {
        // Writers and calls are per queue: normal messages, many or at a slow operator, never hold up express ones.
        let lease = Deliver::lease(&operators);
        let states = StateWriter::start(database, config.state_lanes, config.pace[lane], lease, scope);
        let deliver = Deliver::new(operators.clone(), states, rules.clone(), config, scope.stop.clone());
        let queue = broker.topology().queue(lane).to_owned();
        let (broker, database, operators) = (broker.clone(), database.clone(), operators.clone());
        let consume = Consume { broker, database, operators, queue, prefetch: config.prefetch[lane], deliver };
        scope.spawn("consumer", consume.run(scope.stop.clone()));
    }
}

/// A name that was mistyped leaves an operator without its receipts, and nobody would see why.
fn warn_of_unknown(reporting: &OperatorSecrets, operators: &Operators) {
    for name in reporting.names().filter(|name| operators.names().all(|known| known.as_str() != *name)) {
        tracing::warn!(
            operator = name,
            "RECEIPT_SECRETS names an operator that is not in OPERATORS: its receipts find no message"
        );
    }
}

/// The worker needs database and broker, and needs to write. Publishers that are blocked are no more than news: it only consumes. So are
/// sessions that are not bound: without any it takes no messages, and is ready to take them.
pub fn health(database: &Database, broker: &Broker, operators: &Operators) -> Health {
    let (database, broker) = (database.clone(), broker.clone());
    let health = Health::new()
        .check("mysql", Required, move || {
            let database = database.clone();
            async move {
                let readiness = database.readiness().await;
                Finding::degraded(readiness.as_str(), readiness == Readiness::Ok)
            }
        })
        .check("rabbitmq", Required, move || {
            let condition = broker.condition();
            std::future::ready(Finding::degraded(condition.as_str(), condition != Condition::Away))
        });
    with_sessions(health, operators)
}

/// Adds a check for each operator with sessions, which is reported and decides nothing.
pub fn with_sessions(health: Health, operators: &Operators) -> Health {
    let names: Vec<_> = operators.sessions().map(|(name, _)| name.clone()).collect();
    names.into_iter().fold(health, |health, name| {
        let (check, operators) = (format!("smpp:{name}"), operators.clone());
        health.check(check, Reported, move || {
            let state = operators.sessions().find(|(known, _)| **known == name).map(|(_, state)| state);
            std::future::ready(match state {
                Some(SessionsState::All) => Finding::OK,
                Some(SessionsState::Some) => Finding::degraded("partly_bound", true),
                Some(SessionsState::None) | None => Finding::UNAVAILABLE,
            })
        })
    })
}
