//! The parts together, each test with a subscriber of its own; the process-wide `init` is tested in `tests/init.rs`.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tracing::Instrument as _;
use tracing_subscriber::{Layer as _, fmt::MakeWriter, layer::SubscriberExt as _};

use crate::{LogFormat, flush, logs, otlp::parse_otlp_endpoint, outages::Outages, propagation, traces};

#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines, each of which must be a JSON object.
    fn objects(&self) -> Vec<Value> {
        let objects: Vec<Value> = self.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert!(objects.iter().all(Value::is_object));
        objects
    }
}

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Runs `work` with logs captured and spans that get ids but are not exported.
fn logged(format: LogFormat, filter: &str, work: impl FnOnce()) -> Captured {
    logged_with(Arc::default(), format, filter, None, work)
}

fn logged_with(
    outages: Arc<Outages>,
    format: LogFormat,
    filter: &str,
    provider: Option<&SdkTracerProvider>,
    work: impl FnOnce(),
) -> Captured {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry()
        .with(logs::layer(format, "test", outages, captured.clone()).with_filter(logs::filter(filter).unwrap()))
        .with(traces::layer(provider));
    tracing::subscriber::with_default(subscriber, work);
    captured
}

/// Runs `work` with spans that get ids alone, and with those that could be exported: what travels is the same. Gives what each logged.
fn traced(filter: &str, mut work: impl FnMut()) -> [Captured; 2] {
    let exporting = SdkTracerProvider::default();
    [None, Some(&exporting)].map(|provider| logged_with(Arc::default(), LogFormat::Json, filter, provider, &mut work))
}

#[test]
fn a_json_line_is_flat_and_typed() {
    let captured = logged(LogFormat::Json, "info", || {
        tracing::info!(target: "relay", count = 3, share = 0.5, nan = f64::NAN, ok = true, name = "a", "published {}", 7);
    });
    let [line] = captured.objects().try_into().unwrap();
    let timestamp = line["timestamp"].as_str().unwrap();
    assert_eq!((timestamp.as_bytes()[10], timestamp.chars().last()), (b'T', Some('Z')), "{timestamp}");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "published 7");
    assert_eq!(line["target"], "relay");
    assert_eq!(line["service"], "test");
    assert_eq!((&line["count"], &line["share"], &line["ok"]), (&3.into(), &0.5.into(), &true.into()));
    assert_eq!((&line["nan"], &line["name"]), (&Value::Null, &"a".into()));
    assert!(line.get("trace_id").is_none(), "no span, no trace: {line}");
}

#[test]
fn control_characters_never_leave_a_line() {
    let nasty = "a\r\n{\"level\":\"INFO\"}\u{1b}[31mred\u{9b}2J\u{2028}\u{7f}\"\\";
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let captured = logged(format, "info", || {
            let span = tracing::info_span!("outer", from_span = %nasty);
            span.in_scope(|| tracing::info!(text = nasty, shown = %nasty, debugged = ?nasty, "{nasty}"));
        });
        let text = captured.text();
        let (line, end) = text.split_at(text.len() - 1);
        assert_eq!(end, "\n");
        let escaped = |character: char| !character.is_control() && character != '\u{2028}';
        assert!(line.chars().all(escaped), "{format:?}: {line:?}");
    }
}

#[test]
fn json_fields_come_back_as_they_were_written() {
    let nasty = "a\r\n\u{1b}[31m\u{9b}\u{2028}\"\\";
    let captured = logged(LogFormat::Json, "info", || {
        tracing::info!(text = nasty, shown = %nasty, "{nasty}");
    });
    let [line] = captured.objects().try_into().unwrap();
    for member in ["text", "shown", "message"] {
        assert_eq!(line[member], nasty, "{member}");
    }
}

#[test]
fn span_fields_are_included_and_the_innermost_wins() {
    let captured = logged(LogFormat::Json, "info", || {
        let outer = tracing::info_span!("outer", lane = "normal", batch = 1, late = tracing::field::Empty).entered();
        outer.record("late", "\",");
        outer.record("late", 9);
        let _empty = tracing::info_span!("empty", never = tracing::field::Empty).entered();
        let _inner = tracing::info_span!("inner", batch = 2, message = "not this", otel.kind = "client").entered();
        tracing::info!(lane = "express", level = "mine", "hello");
    });
    let [line] = captured.objects().try_into().unwrap();
    assert_eq!((&line["lane"], &line["batch"], &line["late"]), (&"express".into(), &2.into(), &9.into()));
    assert_eq!((&line["level"], &line["field.level"]), (&"INFO".into(), &"mine".into()));
    assert_eq!(line["message"], "hello");
    assert!(line.get("otel.kind").is_none(), "{line}");
}

#[test]
fn an_error_is_logged_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot publish")]
    struct Outer(#[source] std::io::Error);

    let captured = logged(LogFormat::Json, "info", || {
        let error = Outer(std::io::Error::other("broken pipe"));
        tracing::error!(error = &error as &dyn std::error::Error, "gave up");
    });
    assert_eq!(captured.objects()[0]["error"], "cannot publish: broken pipe");
}

#[test]
fn noisy_libraries_are_held_at_warn_unless_named() {
    let emit = || {
        tracing::info!(target: "sqlx::query", "a statement");
        tracing::warn!(target: "sqlx::query", "slow");
        tracing::info!(target: "relay", "ours");
    };
    let targets = |filter: &str| -> Vec<String> {
        let lines = logged(LogFormat::Json, filter, emit).objects();
        lines.iter().map(|line| format!("{} {}", line["level"], line["target"]).replace('"', "")).collect()
    };
    assert_eq!(targets("info"), ["WARN sqlx::query", "INFO relay"]);
    assert_eq!(targets("info,sqlx=info"), ["INFO sqlx::query", "WARN sqlx::query", "INFO relay"]);
    assert_eq!(targets("error"), Vec::<String>::new());
    assert!(logs::check_filter("info,relay=loud").is_err());
}

#[test]
fn trace_context_passes_from_one_process_to_the_next() {
    let mut all_sent = Vec::new();
    for filter in ["off", "debug"] {
        traced(filter, || {
            assert_eq!(propagation::current_traceparent(), None, "outside of any span");
            tracing::info_span!("accept").in_scope(|| {
                // A span that is logged but not traced must not hide the one around it.
                let _debug = tracing::debug_span!("detail").entered();
                all_sent.push(propagation::current_traceparent().expect("spans have ids, exported or not"));
            });
        });
    }
    for sent in all_sent {
        let [version, trace_id, span_id, flags] = sent.split('-').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((version, trace_id.len(), span_id.len(), flags), ("00", 32, 16, "01"));
        let captured = traced("info", || {
            let span = tracing::info_span!("deliver");
            propagation::set_parent(&span, &sent);
            span.in_scope(|| {
                tracing::info!("delivering");
                let next = propagation::current_traceparent().unwrap();
                assert!(next.contains(trace_id), "same trace: {next}");
                assert!(!next.contains(span_id), "its own span: {next}");
            });
        });
        for captured in captured {
            assert_eq!(captured.objects()[0]["trace_id"], trace_id);
        }
    }
}

#[test]
fn spans_within_a_span_share_its_trace() {
    traced("info", || {
        let outer = tracing::info_span!("accept").entered();
        let around = propagation::current().unwrap();
        let inner = tracing::info_span!("store").entered();
        let within = propagation::current().unwrap();
        assert_eq!(within.trace_id(), around.trace_id());
        assert_ne!(within.span_id(), around.span_id());
        drop(inner);
        assert_eq!(propagation::current().unwrap().span_id(), around.span_id());
        drop(outer);
        tracing::info_span!("another").in_scope(|| {
            assert_ne!(propagation::current().unwrap().trace_id(), around.trace_id());
        });
    });
}

#[test]
fn a_trace_that_is_not_sampled_stays_so_and_is_not_logged() {
    let captured = traced("info", || {
        let span = tracing::info_span!("deliver");
        propagation::set_parent(&span, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        span.in_scope(|| {
            tracing::info!("delivering");
            let next = propagation::current_traceparent().unwrap();
            assert!(next.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && next.ends_with("-00"), "{next}");
        });
    });
    for captured in captured {
        assert!(captured.objects()[0].get("trace_id").is_none());
    }
}

#[test]
fn a_malformed_traceparent_starts_a_new_trace() {
    traced("info", || {
        for malformed in ["", "00-xyz", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "é"] {
            let span = tracing::info_span!("deliver");
            propagation::set_parent(&span, malformed);
            assert!(span.in_scope(propagation::current_traceparent).is_some(), "{malformed}");
        }
    });
}

#[tokio::test]
async fn the_context_follows_an_async_task_over_its_awaits() {
    let exporting = SdkTracerProvider::default();
    for provider in [None, Some(&exporting)] {
        let subscriber = tracing_subscriber::registry().with(traces::layer(provider));
        let _default = tracing::subscriber::set_default(subscriber);
        let observe = || async {
            let before = propagation::current_traceparent().unwrap();
            tokio::task::yield_now().await;
            assert_eq!(propagation::current_traceparent().as_ref(), Some(&before));
            before
        };
        let (one, two) = tokio::join!(
            observe().instrument(tracing::info_span!("one")),
            observe().instrument(tracing::info_span!("two"))
        );
        assert_ne!(one, two);
        assert_eq!(propagation::current_traceparent(), None);
    }
}

/// Reads what one client sends until it contains all of `wanted`, after greeting it as an HTTP/2 server.
fn read_until_sent(listener: &TcpListener, wanted: &[&str]) -> Vec<u8> {
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let (mut client, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    client.write_all(&EMPTY_SETTINGS).unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let contains = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    while !wanted.iter().all(|text| contains(&received, text)) {
        let count = client.read(&mut buffer).expect("the exporter sends its spans");
        assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&buffer[..count]);
    }
    received
}

#[tokio::test]
async fn spans_are_sent_over_grpc_when_the_process_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = parse_otlp_endpoint(&listener.local_addr().unwrap().to_string(), None).unwrap();
    let collector = std::thread::spawn(move || read_until_sent(&listener, &["checkout-service", "charge-the-card"]));

    let provider = traces::provider("checkout-service", &endpoint).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces::layer(Some(&provider)));
    tracing::subscriber::with_default(subscriber, || tracing::info_span!("charge-the-card").in_scope(|| {}));
    flush(provider).await;

    let received = tokio::task::spawn_blocking(move || collector.join().unwrap()).await.unwrap();
    assert!(received.starts_with(b"PRI * HTTP/2.0"), "gRPC speaks HTTP/2");
}

#[tokio::test]
async fn a_collector_that_never_answers_neither_stops_work_nor_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = parse_otlp_endpoint(&listener.local_addr().unwrap().to_string(), None).unwrap();
    let provider = traces::provider("test", &endpoint).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces::layer(Some(&provider)));
    tracing::subscriber::with_default(subscriber, || {
        // More than any queue of the exporter holds: the rest is dropped, nothing waits.
        for _ in 0..5_000 {
            tracing::info_span!("work").in_scope(|| {});
        }
    });
    tokio::time::timeout(Duration::from_mins(1), flush(provider)).await.expect("the flush is bounded");
    drop(listener);
}

#[test]
fn exporting_without_a_runtime_is_an_error_not_a_panic() {
    let endpoint = parse_otlp_endpoint("127.0.0.1:4317", None).unwrap();
    assert!(matches!(traces::provider("test", &endpoint), Err(crate::Error::NoRuntime)));
}

#[test]
fn an_outage_fills_no_log_and_loses_no_count() {
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let (start, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let shown = Arc::clone(&seconds);
        let outages = Arc::new(Outages::on_clock(move || start + Duration::from_secs(shown.load(Ordering::SeqCst))));
        let captured = logged_with(Arc::clone(&outages), format, "info", None, || {
            // One place, as for requests that all fail; then what happens to messages, which is no outage.
            let fail = |request: u32| tracing::warn!(outage = "database", request, "the database is away");
            (0..500).for_each(fail);
            seconds.store(1, Ordering::SeqCst);
            (500..900).for_each(fail);
            for request in 0..3 {
                tracing::warn!(request, "a message was refunded");
                tracing::warn!(target: "sqlx_core::pool::inner", request, "a connection was lost");
            }
            outages.tell();
            seconds.store(2, Ordering::SeqCst);
            outages.tell();
        });
        let text = captured.text();
        assert_eq!(text.matches("the database is away").count(), 2, "{text}");
        assert_eq!(text.matches("a message was refunded").count(), 3, "{text}");
        assert_eq!(text.matches("a connection was lost").count(), 1, "{text}");
        if format == LogFormat::Json {
            let lines = captured.objects();
            assert_eq!((&lines[0]["outage"], &lines[0]["request"]), (&"database".into(), &0.into()));
            assert!(lines[0]["repeated"].is_null());
            assert_eq!((&lines[1]["request"], &lines[1]["repeated"]), (&500.into(), &499.into()));
            let told = lines.iter().filter(|line| line["message"] == "log lines of an outage were left out");
            let mut told: Vec<_> = told.map(|line| line["repeated"].as_u64()).collect();
            told.sort_unstable();
            assert_eq!(told, [Some(2), Some(399)]);
        } else {
            assert!(text.lines().any(|line| line.contains("request=500") && line.ends_with(" repeated=499")), "{text}");
        }
    }
}
