//! The W3C trace context at the edges of a process: read from a message or request, written into the next one.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::trace_ids;

/// Name of the header that carries the trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The `traceparent` of the span this task is in, or `None` outside of any span.
///
/// Works without an exporter too: spans always have ids.
pub fn current_traceparent() -> Option<String> {
    let context = Context::new().with_remote_span_context(current()?);
    let mut written = Written(None);
    TraceContextPropagator::new().inject_context(&context, &mut written);
    written.0
}

/// The ids of the span this task is in, or `None` outside of any span.
pub fn current() -> Option<SpanContext> {
    let exported = Context::map_current(|context| context.span().span_context().clone());
    if exported.is_valid() { Some(exported) } else { trace_ids::current() }
}

/// The ids of a span, or of the nearest around it that has some, in a process that exports no traces.
pub fn of<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<SpanContext> {
    trace_ids::nearest(span)
}

/// Makes `span` continue the trace named by `traceparent`; a malformed one is ignored.
///
/// Must be called before the span is first entered: its parent is fixed from then on.
pub fn set_parent(span: &tracing::Span, traceparent: &str) {
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Read(traceparent));
    let adopted = span.with_subscriber(|span| trace_ids::adopt(span, parent.span().span_context())).flatten();
    if adopted.is_none()
        && let Err(error) = span.set_parent(parent)
    {
        tracing::debug!(%error, "the trace context of the sender was not taken over");
    }
}

/// Takes the `traceparent` of what is written, and nothing else.
struct Written(Option<String>);

impl Injector for Written {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

/// Has a `traceparent` and nothing else.
struct Read<'a>(&'a str);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
