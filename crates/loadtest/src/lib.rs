//! An open-loop load generator for `POST /messages/send`, and what a benchmark needs around it: balances to spend, the
//! database's own speed limit, what processes cost, and the report.
//!
//! The load is open-loop: each request has an intended start that does not depend on the answers before it, and its
//! latency counts from there. A server that stalls is charged for every request that had to wait.

mod accepted;
mod claims;
mod client;
mod counters;
mod database;
mod drive;
mod floor;
mod load;
mod message;
mod procfs;
mod prometheus;
pub mod report;
mod schedule;
mod scheduled;
pub mod search;
mod seed;
mod server_process;
mod store;
mod tally;
mod traffic;
mod waiting;

pub use claims::{CLAIM_BATCH, ClaimCost, measure_claims};
pub use client::{Client, Reply, SendError, Target};
pub use counters::ServerCounters;
pub use database::{DoneLatencies, Stored, Tables};
pub use drive::{Progress, drive};
pub use floor::{Floor, measure_floor};
pub use load::{Load, LoadArgs, parse_duration};
pub use message::Destinations;
pub use procfs::{Memory, cpu_of, descendants, machine_busy, memory};
pub use prometheus::{Scrape, quantile_ms};
pub use schedule::Schedule;
pub use scheduled::{DueTimes, insert_scheduled};
pub use seed::{seed_database, seed_http};
pub use server_process::{Place, ServerProcess};
pub use tally::{Latency, Outcome, Tally};
pub use traffic::Traffic;
pub use waiting::insert_waiting;
