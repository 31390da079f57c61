//! What every crate measures with, and no way to export it: the table of metrics ([`names`]) and the trace context in and out
//! ([`propagation`]), with [`TraceIds`] for processes that export no traces. `telemetry` exports both.

pub mod names;
pub mod propagation;
mod trace_ids;

pub use trace_ids::TraceIds;
