//! Spans: ids for all of them, more and export over OTLP when an endpoint is given.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use instruments::TraceIds;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    RetryPolicy, WithExportConfig as _, WithTonicConfig as _, tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::{Error, otlp::OtlpConfig};

/// How long one export may take, its retries included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Libraries whose spans say nothing about a message. Those of the exporter itself would feed on themselves.
const UNTRACED: [&str; 8] = ["h2", "hyper", "hyper_util", "opentelemetry", "rustls", "sqlx", "tonic", "tower"];

/// The provider of spans, which exports them in the background.
///
/// The sampler is the SDK's default: all traces, or what the caller decided; `OTEL_TRACES_SAMPLER` changes it.
pub(crate) fn provider(service: &'static str, otlp: &OtlpConfig) -> Result<SdkTracerProvider, Error> {
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter(otlp)?).build())
}

/// The layer that turns `tracing` spans of level info and above into OpenTelemetry spans, whatever the log filter says; without a provider
/// they get their ids and nothing else.
pub(crate) fn layer<S>(provider: Option<&SdkTracerProvider>) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let spans = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(UNTRACED.map(|library| (library, LevelFilter::OFF)));
    let Some(provider) = provider else { return TraceIds.with_filter(spans).boxed() };
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("sms-platform"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(spans)
        .boxed()
}

fn exporter(otlp: &OtlpConfig) -> Result<ReportingExporter<opentelemetry_otlp::SpanExporter>, Error> {
    // The channel starts a task on the current runtime as soon as it is made, and panics without one.
    tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
    let mut builder = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&otlp.endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .with_retry_policy(
            RetryPolicy::recommended().with_max_retries(2).with_initial_delay(Duration::from_millis(200)),
        );
    if otlp.endpoint.starts_with("https://") {
        // The exporter's own TLS default trusts no certificate authority at all.
        builder = builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let inner = builder.build().map_err(|error| Error::Exporter(Box::new(error)))?;
    Ok(ReportingExporter { inner, failing: AtomicBool::new(false) })
}

/// Logs once when exports begin to fail and once when they work again, never each failure.
#[derive(Debug)]
struct ReportingExporter<E> {
    inner: E,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for ReportingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !failed_before => {
                tracing::warn!(%error, "traces cannot be exported; they are dropped until the collector answers");
            }
            Ok(()) if failed_before => tracing::info!("traces are exported again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry_sdk::error::OTelSdkError;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::{LogFormat, logs, tests::Captured};

    /// An exporter whose results are given, the last one first.
    #[derive(Debug)]
    struct Scripted(Mutex<Vec<OTelSdkResult>>);

    impl SpanExporter for Scripted {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().pop().expect("one result an export")
        }
    }

    #[tokio::test]
    async fn failing_exports_are_logged_once_until_they_work_again() {
        let captured = Captured::default();
        let layer = logs::layer(LogFormat::Json, "test", Arc::default(), captured.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        let _default = tracing::subscriber::set_default(subscriber);

        let works = [true, false, false, false, true, true, false];
        let refused = || OTelSdkError::InternalFailure("refused".to_owned());
        let results = works.iter().rev().map(|works| if *works { Ok(()) } else { Err(refused()) }).collect();
        let exporter = ReportingExporter { inner: Scripted(Mutex::new(results)), failing: AtomicBool::new(false) };
        for works in works {
            assert_eq!(exporter.export(Vec::new()).await.is_ok(), works);
        }

        let text = captured.text();
        let levels: Vec<_> = text.lines().map(|line| if line.contains("WARN") { "warn" } else { "info" }).collect();
        assert_eq!(levels, ["warn", "info", "warn"], "{text}");
    }
}
