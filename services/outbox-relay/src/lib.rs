//! Moves outbox events to the broker: claim under a lease, publish with confirms, record what was confirmed.
//!
//! An event is `processed` only after the broker's confirm, so a crash at any moment leaves it claimable again
//! when its lease ends. It may then be published twice; the worker's state guard makes the second one harmless.

mod audit;
mod callbacks;
mod claim;
mod claimer;
mod gate;
mod publish;
mod receipts;
mod record;
mod scheduled;
mod series;
mod settings;
mod sweeper;
mod unknown_kinds;
mod wake;

pub use self::settings::{ADMIN_ADDR, RelayConfig, Settings};
pub use wake::Wake;

use broker::{Broker, Condition, Publisher};
use domain::Lane;
use persistence::{Database, Readiness};
use service_kit::{
    Health, Scope,
    health::{Finding, Required},
};

use crate::{
    claimer::{Claimer, Lookout},
    gate::Gate,
    publish::Publish,
    unknown_kinds::UnknownKinds,
};

/// Starts what this relay does on `scope`: with a broker the claimers, the sweepers and the ledger audit, and callbacks where they are
/// enabled. They end after their batch in hand when the scope stops.
pub fn start(config: &RelayConfig, database: &Database, broker: Option<&Broker>, wake: &Wake, scope: &Scope) {
    series::start(broker.map(Broker::topology));
    if let Some(broker) = broker {
        start_publishing(config, database, broker, wake, scope);
    }
    if let Some(callbacks) = &config.callbacks {
        callbacks::start(callbacks, database, scope);
    }
    if broker.is_none() && config.callbacks.is_none() {
        tracing::warn!("this relay has nothing to do: it has no claimers, and CALLBACKS_ENABLED is false");
    }
}

fn start_publishing(config: &RelayConfig, database: &Database, broker: &Broker, wake: &Wake, scope: &Scope) {
    let gate = Gate::start(config.max_queued, broker, scope);
    let unknown_kinds = UnknownKinds::default();
    for lane in Lane::ALL {
        let lookout = Lookout::new();
        for _ in 0..config.claimers[lane] {
            let publish = Publish::new(database.clone(), broker.publisher(), unknown_kinds.clone());
            let claimer = Claimer {
                lane,
                lookout: lookout.clone(),
                config: config.clone(),
                database: database.clone(),
                publish,
                gate: gate.clone(),
                wake: wake.clone(),
            };
            scope.spawn("claimer", claimer.run(scope.stop.clone()));
        }
    }
    scope.spawn_until_stopped("callback customers", database.clone().watch_callback_customers());
    scope.spawn("sweeper", sweeper::run(config.clone(), database.clone(), unknown_kinds, scope.stop.clone()));
    let scheduled = scheduled::run(database.clone(), config.most_pending, wake.clone(), scope.stop.clone());
    scope.spawn("scheduled messages", scheduled);
    scope.spawn("receipts", receipts::run(database.clone(), scope.stop.clone()));
    if let Some(every) = config.ledger_audit {
        scope.spawn("ledger audit", audit::run(every, database.clone(), scope.stop.clone()));
    }
}

/// Where it publishes the relay needs both, and needs to write: without the one there is nothing to publish, without the other
/// nowhere. Callbacks never touch the broker.
pub fn health(config: &RelayConfig, database: &Database, broker: Option<&Broker>) -> Health {
    let callbacks = callbacks::Readiness::of(config, database);
    let database = database.clone();
    let mut health = Health::new().check("mysql", Required, move || {
        let database = database.clone();
        async move {
            let readiness = database.readiness().await;
            Finding::degraded(readiness.as_str(), readiness == Readiness::Ok)
        }
    });
    if let Some(broker) = broker {
        let (broker, publisher) = (broker.clone(), broker.publisher());
        health = health
            .check("rabbitmq", Required, move || std::future::ready(broker_finding(broker.condition(), &publisher)));
    }
    match callbacks {
        Some(callbacks) => health.check("callbacks", Required, move || callbacks.clone().find()),
        None => health,
    }
}

/// Connected is not enough to publish: the first test messages must have come through.
fn broker_finding(condition: Condition, publisher: &Publisher) -> Finding {
    match condition {
        Condition::Connected if publisher.is_ready() => Finding::OK,
        Condition::Connected | Condition::Away => Finding::UNAVAILABLE,
        Condition::Blocked => Finding::degraded(condition.as_str(), false),
    }
}
