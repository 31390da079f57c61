//! What a process says about itself: JSON logs on stdout, traces over OTLP, metrics for Prometheus.
//!
//! [`init`] installs all three once per process and returns a [`Guard`]; [`Guard::shutdown`] sends the last spans.
//! Log filters do not touch traces: spans get their ids whatever `RUST_LOG` says, and whether or not
//! they are exported, so the trace context always travels with the work ([`propagation`]).

pub mod exports;
mod logs;
mod otlp;
mod outages;
mod process;
mod recorder;
mod traces;

use std::{sync::Arc, time::Duration};

pub use instruments::{names, propagation};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

pub use logs::{DEFAULT_FILTER, LogFormat, check_filter};
pub use otlp::{ACCEPTED_ENDPOINTS, OtlpConfig, parse_otlp_endpoint};
pub use process::ProcessMetrics;
pub use recorder::{METRICS_CONTENT_TYPE, MetricsHandle, recorder};

/// The longest that sending the last spans may take at shutdown.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// What [`init`] needs to know.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Name of the process in logs (`service`) and traces (`service.name`).
    pub service: &'static str,
    /// How log lines look.
    pub log: LogFormat,
    /// Which log lines are written, in the syntax of `RUST_LOG`; [`DEFAULT_FILTER`] when the variable is unset.
    pub filter: String,
    /// Where traces are sent; `None` exports nothing.
    pub otlp: Option<OtlpConfig>,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log filter cannot be parsed.
    #[error("the log filter is not understood; use the form info,target=debug")]
    Filter(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The trace endpoint cannot be used. The value is left out: it may hold credentials.
    #[error("the trace endpoint is not accepted: it must be {accepted}")]
    Endpoint {
        /// What is accepted, worded to follow "must be".
        accepted: &'static str,
    },
    /// The exporter could not be built from its settings.
    #[error("cannot build the trace exporter")]
    Exporter(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Traces are to be exported but there is no tokio runtime to do it on.
    #[error("traces can only be exported from inside a tokio runtime")]
    NoRuntime,
    /// The thread that keeps histograms small and counts log lines could not be started.
    #[error("cannot start the thread for upkeep of metrics and logs")]
    Upkeep(#[source] std::io::Error),
    /// A subscriber or a metrics recorder is already installed in this process.
    #[error("telemetry is already initialised in this process; call init once")]
    AlreadyInitialised,
}

/// Installs logs, traces and metrics for the whole process.
///
/// With `otlp` set it must be called inside the tokio runtime that lives as long as the process.
///
/// # Errors
/// A filter or an endpoint that cannot be used, and a second call in the same process.
pub fn init(config: TelemetryConfig) -> Result<Guard, Error> {
    let TelemetryConfig { service, log, filter, otlp } = config;
    let filter = logs::filter(&filter)?;
    let provider = otlp.map(|otlp| traces::provider(service, &otlp)).transpose()?;
    let (recorder, metrics) = recorder::recorder();

    metrics::set_global_recorder(recorder).map_err(|_| Error::AlreadyInitialised)?;
    names::describe();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let outages = Arc::new(outages::Outages::default());
    let subscriber = tracing_subscriber::registry()
        .with(logs::layer(log, service, Arc::clone(&outages), std::io::stdout).with_filter(filter))
        .with(traces::layer(provider.as_ref()));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::AlreadyInitialised)?;

    let upkeep = recorder::Upkeep::start(metrics.clone(), outages).map_err(Error::Upkeep)?;
    Ok(Guard { metrics, provider, _upkeep: upkeep })
}

/// Keeps telemetry running; shut it down last, so that the spans of the shutdown itself are sent too.
#[derive(Debug)]
#[must_use = "spans that are still queued are lost unless the guard is shut down"]
pub struct Guard {
    metrics: MetricsHandle,
    provider: Option<SdkTracerProvider>,
    _upkeep: recorder::Upkeep,
}

impl Guard {
    /// A handle that renders what has been measured.
    pub fn metrics(&self) -> MetricsHandle {
        self.metrics.clone()
    }

    /// Sends the spans that are still queued, for 5 s at most. Never blocks the runtime.
    pub async fn shutdown(self) {
        if let Some(provider) = self.provider {
            flush(provider).await;
        }
    }
}

/// Flushes off the runtime: the provider waits for its own thread, which in turn needs the runtime for the network.
async fn flush(provider: SdkTracerProvider) {
    let flushing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_LIMIT));
    match flushing.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the last traces were not sent"),
        Err(error) => tracing::warn!(%error, "the last traces were not sent"),
    }
}

#[cfg(test)]
mod tests;
