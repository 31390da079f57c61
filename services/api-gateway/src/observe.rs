//! One span and two metrics for each request. What is refused is logged at debug level only: clients must not be able
//! to fill a disk. Our own failures are logged where they happen.

use std::time::Instant;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
};
use domain::{CustomerId, MessageId};
use telemetry::{names, propagation};
use tracing::{Instrument as _, Span, info_span};

use crate::error::ApiError;

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
        http.status = tracing::field::Empty,
        user_id = tracing::field::Empty,
        message_identifier = tracing::field::Empty
    );
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    if let Some(parent) = parent {
        propagation::set_parent(&span, parent);
    }
    let response = next.call(request).instrument(span.clone()).await;
    let (status, error) = match &response {
        Ok(response) => (response.status(), response.response().error()),
        Err(error) => (error.as_response_error().status_code(), Some(error)),
    };
    span.record("http.status", status.as_u16());
    if status.is_client_error() || status.is_server_error() {
        let code = error.and_then(|error| error.as_error::<ApiError>()).map(ApiError::code);
        span.in_scope(|| tracing::debug!(code, "a request was refused"));
    }
    let labels = [("path", path), ("method", method.to_owned()), ("status", status.as_u16().to_string())];
    metrics::counter!(names::HTTP_REQUESTS_TOTAL, &labels).increment(1);
    metrics::histogram!(names::HTTP_REQUEST_DURATION_SECONDS, &labels).record(started.elapsed());
    response
}

/// Names the customer in the span of the request, and so in its log lines.
pub(crate) fn about_user(user: CustomerId) {
    Span::current().record("user_id", user.get());
}

/// Names the message in the span of the request.
pub(crate) fn about_message(message: &MessageId) {
    Span::current().record("message_identifier", message.as_str());
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
