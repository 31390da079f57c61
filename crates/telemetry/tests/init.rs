//! `init` changes the whole process, so it has a test binary of its own, with one test.

use telemetry::{LogFormat, TelemetryConfig, names, propagation};

fn config() -> TelemetryConfig {
    TelemetryConfig { service: "test", log: LogFormat::Json, filter: telemetry::DEFAULT_FILTER.to_owned(), otlp: None }
}

#[tokio::test]
async fn init_installs_everything_once() {
    let wrong = TelemetryConfig { filter: "a=b=c".to_owned(), ..config() };
    assert!(matches!(telemetry::init(wrong), Err(telemetry::Error::Filter(_))));

    let guard = telemetry::init(config()).expect("a refused configuration leaves nothing behind");
    let handle = guard.metrics();
    metrics::counter!(names::BACKPRESSURE_REJECTIONS_TOTAL).increment(2);
    let text = handle.render();
    assert!(text.contains("# HELP backpressure_rejections_total Requests refused"), "{text}");
    assert!(text.contains("backpressure_rejections_total 2"), "{text}");
    assert!(tracing::info_span!("work").in_scope(propagation::current_traceparent).is_some());

    let again = telemetry::init(config()).unwrap_err();
    assert!(matches!(again, telemetry::Error::AlreadyInitialised), "{again}");

    guard.shutdown().await;
    assert!(handle.render().contains("backpressure_rejections_total 2"), "a handle outlives the guard");
}
