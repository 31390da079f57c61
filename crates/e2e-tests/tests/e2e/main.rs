//! The services as the processes they are, on a real database and a real RabbitMQ, with operators that fail on demand.
//!
//! Every scenario has a database and queues of its own, and ends with the checker: money is conserved, every accepted
//! message is final, what failed is refunded once, and nothing was sent that was not charged.

mod checker;
mod client;
mod collector;
mod journal;
mod platform;
mod scenarios;
mod snapshot;
mod tables;
mod traffic;
