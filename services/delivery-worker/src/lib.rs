//! Delivers messages: takes them under a lease, calls the operators, records the outcome with its refund, and only
//! then acknowledges.
//!
//! A message may arrive any number of times, in any order, at any worker. Its row decides: what is final stays
//! final, what another worker holds is waited for, and what a crashed worker left is asked about again with the same
//! idempotency key.

// The state machines of a delivery, its operators' layers and its statements nest deeper than the default allows.
#![recursion_limit = "256"]

mod consume;
mod deliver;
mod metrics;
mod settings;
mod states;

pub use settings::{ADMIN_ADDR, Settings, WorkerConfig, load_operators};

use broker::Broker;
use operators::Operators;
use persistence::{Database, DatabaseConfig};
use service_kit::{Health, Scope, health::Requirement::Required};

use crate::{deliver::Deliver, states::States};

/// Starts the consumers on `scope`. When the scope stops they take no more and finish what they have.
pub fn start(config: &WorkerConfig, database: &Database, broker: &Broker, operators: &Operators, scope: &Scope) {
    metrics::start(broker.topology());
    let topology = broker.topology();
    let queues =
        [(topology.express_queue(), config.express_prefetch), (topology.normal_queue(), config.normal_prefetch)];
    for (queue, prefetch) in queues {
        // Lanes and calls are per queue: normal messages, many or at a slow operator, never hold up express ones.
        let states = States::start(database, config.state_lanes, Deliver::lease(operators), scope);
        let deliver = Deliver::new(operators.clone(), states, config.max_calls, scope.stop.clone());
        let consumer = broker.consumer(queue, prefetch);
        scope.spawn("consumer", consume::run(consumer, queue.to_owned(), prefetch, deliver, scope.clone()));
    }
}

/// The worker needs both.
pub fn health(database: &Database, broker: &Broker) -> Health {
    let (database, broker) = (database.clone(), broker.clone());
    Health::new()
        .check("mysql", Required, move || {
            let database = database.clone();
            async move { database.is_ready().await }
        })
        .check("rabbitmq", Required, move || std::future::ready(broker.is_connected()))
}

/// The pool as the settings ask for it.
pub fn database_config(settings: &Settings) -> DatabaseConfig {
    DatabaseConfig {
        max_connections: settings.database.max_open_connections,
        max_lifetime: settings.database.max_lifetime,
        ..DatabaseConfig::new(settings.database.url.clone())
    }
}
