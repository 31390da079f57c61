//! What every crate measures with, and no way to export it: the table of metrics ([`names`]) and the trace context in and out
//! ([`propagation`]). `telemetry` exports both.

pub mod names;
pub mod propagation;
