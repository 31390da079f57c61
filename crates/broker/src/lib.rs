//! Messages between the relay and the worker: RabbitMQ, and a twin of it inside one process.
//!
//! A [`Broker`] keeps its connections up by itself: it reconnects for ever, declares the [`Topology`] each time and
//! brings its publishers and consumers back. Callers see outcomes ([`Published`]), never a connection.
//!
//! How it stays correct:
//! - Only the broker's confirm makes a publish [`Published::Confirmed`]. A lost connection or a missing confirm is
//!   [`Published::Unknown`], and the caller publishes again: delivery is at least once.
//! - One task owns the publishing channel, so the n-th publish is delivery tag n (`amqp::session`, `confirm`).
//! - Every delivery answers to the channel it came from, so an old delivery never acknowledges a new one.
//! - Everything is bounded: publishes in flight by the confirm window, deliveries by the prefetch, waits by timeouts.
//! - A call of amqprs is never cancelled half-way, because its dispatcher panics then (`amqp::call`).

mod amqp;
mod broker;
mod config;
mod confirm;
mod delivery;
mod error;
mod memory;
mod message;
mod options;
mod series;
mod topology;
mod uri;

pub use broker::{Broker, Condition, Consumer, DepthWatch, Publisher};
pub use config::BrokerConfig;
pub use delivery::Delivery;
pub use error::Error;
pub use message::{Outgoing, Published};
pub use options::Options;
pub use topology::{Topology, dead_letter_queue};
