//! The relay by itself: its public `start` on a database in a file and a broker in this process, or on one that is away.
//!
//! All tests run on one thread, so that a test sees the metrics of its own relay and of no other.

mod callbacks;
mod flow;
mod health;
mod housekeeping;
mod leases;
mod outages;
mod publishing;
mod retries;
mod stopping;
mod support;
mod unknown_kinds;
