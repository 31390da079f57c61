//! The worker by itself: its public `start` on a database in a file, a broker in this process, and operators on loopback.
//!
//! All tests run on one thread, so that a test sees the metrics of its own worker and of no other.

mod bounds;
mod claims;
mod health;
mod outages;
mod outcomes;
mod smpp;
mod stopping;
mod support;
mod unknown;
mod validity;
