//! One span, two metrics and no log line for each request; errors are logged where they happen.

use std::time::Instant;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
};
use telemetry::{names, propagation};
use tracing::{Instrument as _, info_span};

/// Middleware: the request's trace context, its span, its count and its duration.
pub(crate) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let method = method_label(request.method());
    // The pattern, never the raw path: the number of label values stays fixed.
    let path = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let span = info_span!(
        "http.request",
        otel.kind = "server",
        http.method = method,
        http.route = path,
        http.status = tracing::field::Empty
    );
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    if let Some(parent) = parent {
        propagation::set_parent(&span, parent);
    }
    let response = next.call(request).instrument(span.clone()).await;
    let status = match &response {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    span.record("http.status", status.as_u16());
    let labels = [("path", path), ("method", method.to_owned()), ("status", status.as_u16().to_string())];
    metrics::counter!(names::HTTP_REQUESTS_TOTAL, &labels).increment(1);
    metrics::histogram!(names::HTTP_REQUEST_DURATION_SECONDS, &labels).record(started.elapsed());
    response
}

/// Clients may invent methods; labels may not.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
