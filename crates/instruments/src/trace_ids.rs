//! Spans of which nothing but their ids is kept, for processes that export none: the trace context travels all the same, and log lines
//! name their trace.

use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use tracing::{
    Dispatch, Subscriber,
    dispatcher::get_default,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// Gives each span its ids, those of the trace from the span around it. All traces are sampled, or as the caller decided:
/// `OTEL_TRACES_SAMPLER` is for processes that export.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceIds;

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for TraceIds {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let ids = match span.parent().and_then(|around| nearest(&around)) {
            Some(around) => below(&around),
            None => of_new_trace(),
        };
        span.extensions_mut().insert(Ids(ids));
    }
}

/// Kept with the span.
struct Ids(SpanContext);

/// The ids of the span that this thread is in, where a [`TraceIds`] gives them. While something is logged under a subscriber that is not
/// the process's own, `tracing` tells of none.
pub(crate) fn current() -> Option<SpanContext> {
    get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        nearest(&registry.span(dispatch.current_span().id()?)?)
    })
}

/// Makes a span that has ids part of the trace of `parent`.
pub(crate) fn adopt((id, dispatch): (&Id, &Dispatch), parent: &SpanContext) -> Option<()> {
    let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
    let mut extensions = span.extensions_mut();
    let Ids(ids) = extensions.get_mut()?;
    if parent.is_valid() {
        *ids = below(parent);
    }
    Some(())
}

/// The ids of a span that a [`TraceIds`] gave them. One that is too detailed to be traced has none, and does not hide those of the one around it.
pub(crate) fn nearest<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<SpanContext> {
    span.scope().find_map(|span| span.extensions().get().map(|Ids(ids)| ids.clone()))
}

fn below(parent: &SpanContext) -> SpanContext {
    let span = RandomIdGenerator::default().new_span_id();
    SpanContext::new(parent.trace_id(), span, parent.trace_flags(), false, parent.trace_state().clone())
}

fn of_new_trace() -> SpanContext {
    let random = RandomIdGenerator::default();
    SpanContext::new(random.new_trace_id(), random.new_span_id(), TraceFlags::SAMPLED, false, TraceState::NONE)
}
