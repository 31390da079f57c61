//! One trace from the request to the operator, and collectors that fail.

use std::{collections::BTreeSet, net::TcpListener};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use test_support::free_address;

use crate::{
    client::{Kind, Submission, TEXT},
    collector::{Collector, SeenSpan},
    platform::{Platform, Setup},
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";

/// Each service is asked to end, in order, so that it sends what it still has.
async fn terminate(platform: &mut Platform) {
    for service in [&mut platform.workers[0], &mut platform.relays[0], &mut platform.gateway] {
        let status = service.terminate().await;
        assert!(status.success(), "a service ended with {status}");
    }
}

/// The only span of this name in a trace.
fn the<'a>(spans: &'a [SeenSpan], trace: &str, name: &str) -> &'a SeenSpan {
    let found: Vec<_> = spans.iter().filter(|span| span.trace == trace && span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in trace {trace}: {found:#?}");
    found[0]
}

#[track_caller]
fn assert_span(span: &SeenSpan, service: &str, kind: SpanKind, parent: &str) {
    let found = (span.service.as_str(), span.kind, span.parent.as_str());
    assert_eq!(found, (service, kind, parent), "{span:#?}");
}

/// Checks the chain of spans in a trace, and that the operators were given its last links.
fn assert_chain(platform: &Platform, spans: &[SeenSpan], trace: &str, root: &str, message: &str, user: &str) {
    let request = the(spans, trace, "http.request");
    assert_span(request, "api-gateway", SpanKind::Server, root);
    let publish = the(spans, trace, "outbox.publish");
    assert_span(publish, "outbox-relay", SpanKind::Producer, &request.id);
    let deliver = the(spans, trace, "message.deliver");
    assert_span(deliver, "delivery-worker", SpanKind::Consumer, &publish.id);
    for span in [request, publish, deliver] {
        assert_eq!(span.attributes.get("message_identifier").map(String::as_str), Some(message), "{span:#?}");
        assert_eq!(span.attributes.get("user_id").map(String::as_str), Some(user), "{span:#?}");
    }
    assert_eq!(request.attributes["http.route"], "/messages/send");
    assert_eq!(request.attributes["http.status"], "200");

    let calls: Vec<_> = spans.iter().filter(|span| span.trace == trace && span.name == "operator.call").collect();
    for call in &calls {
        assert_span(call, "delivery-worker", SpanKind::Client, &deliver.id);
        assert_eq!(call.attributes["message_identifier"], message, "{call:#?}");
        assert_eq!(
            (call.attributes["operator"].as_str(), call.attributes["result"].as_str()),
            ("operatorA", "accepted")
        );
    }
    let sent: BTreeSet<_> = calls.iter().map(|call| format!("00-{trace}-{}-01", call.id)).collect();
    let received: BTreeSet<_> =
        platform.entries_of(message).into_iter().filter_map(|entry| entry.traceparent).collect();
    assert_eq!((sent.len(), &received), (platform.entries_of(message).len(), &sent), "traceparents at the operator");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_spans_the_services_and_the_operator() {
    let collector = Collector::start();
    let address = collector.address();
    let mut platform = Setup::new()
        // Nothing is sent before the end: what arrives shows that the end sends it.
        .set("OTEL_BSP_SCHEDULE_DELAY", "600000")
        .set_for("api-gateway", ENDPOINT, &address)
        .set_for("outbox-relay", ENDPOINT, &format!("http://{address}"))
        .set_for("delivery-worker", ENDPOINT, &address)
        .set_for("delivery-worker", "OTEL_EXPORTER_OTLP_INSECURE", "true")
        .start()
        .await;
    let (first, second, third) = ("+989127654321", "+989127654322", "+989127654324");
    platform.top_up(1, 100).await;
    platform.top_up(2, 100).await;
    let traceparent = Some(format!("00-{TRACE}-{CLIENT_SPAN}-01"));
    let traced = Submission { traceparent, ..Submission::new(1, Kind::Express, &[first, second]) };
    let traced = platform.send_as(traced).await;
    let own = platform.send(2, Kind::Normal, &[third]).await;
    platform.wait_all_terminal().await;
    platform.wait_outbox_empty().await;
    terminate(&mut platform).await;

    let spans = collector.spans();
    assert_chain(&platform, &spans, TRACE, CLIENT_SPAN, &traced, "1");
    let is_own =
        |span: &&SeenSpan| span.name == "http.request" && span.attributes.get("message_identifier") == Some(&own);
    let own_trace = spans.iter().find(is_own).expect("the request without a traceparent has a trace").trace.clone();
    assert_ne!(own_trace, TRACE);
    assert_chain(&platform, &spans, &own_trace, "", &own, "2");

    let everything = collector.everything();
    for secret in [TEXT, &first[1..], &second[1..], &third[1..]] {
        assert!(!everything.contains(secret), "{secret} is in what was sent to the collector");
    }
    platform.gateway.start();
    platform.gateway.ready().await;
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_never_answers_holds_up_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port that nobody answers on");
    let silent_address = silent.local_addr().expect("a bound listener has an address").to_string();
    let mut platform = Setup::new()
        // Exports are tried all the time, and more spans come than the queue has room for.
        .set("OTEL_BSP_SCHEDULE_DELAY", "50")
        .set("OTEL_BSP_MAX_QUEUE_SIZE", "64")
        .set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
        .set(ENDPOINT, &silent_address)
        .set_for("outbox-relay", ENDPOINT, &free_address().to_string())
        .start()
        .await;
    platform.fund_traffic().await;
    let traffic = platform.traffic(60, 300);
    platform.absorb(traffic).await;
    platform.wait_all_terminal().await;
    platform.wait_outbox_empty().await;
    terminate(&mut platform).await;
    platform.gateway.start();
    platform.gateway.ready().await;
    platform.finish().await;
    drop(silent);
}
