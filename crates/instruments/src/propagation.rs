//! The W3C trace context at the edges of a process: read from a message or request, written into the next one.

use std::collections::HashMap;

use opentelemetry::{Context, propagation::TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Name of the header that carries the trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The `traceparent` of the span this task is in, or `None` outside of any span.
///
/// Works without an exporter too: spans always have ids.
pub fn current_traceparent() -> Option<String> {
    let mut carrier = HashMap::with_capacity(2);
    TraceContextPropagator::new().inject_context(&Context::current(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` continue the trace named by `traceparent`; a malformed one is ignored and the span starts its own.
///
/// Must be called before the span is first entered: its parent is fixed from then on.
pub fn set_parent(span: &tracing::Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!(%error, "the trace context of the sender was not taken over");
    }
}
