//! What every process needs and no rule of the business: its name and reports, lifecycle, health and the admin server.
//!
//! A `main` reads its settings ([`settings::Source`]), initialises telemetry, makes a [`Lifecycle`], builds its
//! service on it, and returns the exit code of [`Lifecycle::run`].

pub mod admin;
pub mod batch;
mod common;
mod entry;
pub mod health;
pub mod healthcheck;
pub mod http;
mod lifecycle;
pub mod retry;

pub use common::CommonSettings;
pub use entry::{run, runtime_threads};
pub use health::Health;
pub use lifecycle::{Lifecycle, Scope, TaskOutput};
