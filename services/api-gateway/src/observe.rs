//! One span and two metrics for each request. What is refused is logged at debug level only: clients must not be able
//! to fill a disk. Our own failures are logged where they happen, and a panic here: its request is answered with 500.

use std::{panic::AssertUnwindSafe, time::Instant};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
    middleware::Next,
};
use domain::{CustomerId, MessageId};
use futures_util::FutureExt as _;
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
        key_id = tracing::field::Empty,
        user_id = tracing::field::Empty,
        message_identifier = tracing::field::Empty
    );
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    if let Some(parent) = parent {
        propagation::set_parent(&span, parent);
    }
    // What a request shares with others is behind locks that a panic does not poison for good, hence unwind safe.
    let answered = AssertUnwindSafe(next.call(request)).catch_unwind().instrument(span.clone()).await;
    let response = answered.unwrap_or_else(|_| {
        span.in_scope(|| {
            tracing::error!("a request made the gateway panic; the panic's own message is on standard error");
        });
        Err(ApiError::Internal.into())
    });
    let (status, error) = match &response {
        Ok(response) => (response.status(), response.response().error()),
        Err(error) => (error.as_response_error().status_code(), Some(error)),
    };
    span.record("http.status", status.as_u16());
    if status.is_client_error() || status.is_server_error() {
        let code = error.and_then(|error| error.as_error::<ApiError>()).map(ApiError::code);
        span.in_scope(|| tracing::debug!(code, "a request was refused"));
    }
    count(path, method, status, started);
    response
}

/// Counts an answer to a request that came at `started`; `path` is a pattern.
pub(crate) fn count(path: String, method: &'static str, status: StatusCode, started: Instant) {
    let labels = [("path", path), ("method", method.to_owned()), ("status", status.as_u16().to_string())];
    metrics::counter!(names::HTTP_REQUESTS_TOTAL, &labels).increment(1);
    metrics::histogram!(names::HTTP_REQUEST_DURATION_SECONDS, &labels).record(started.elapsed());
}

/// Names the key in the span of the request by its id; never the key itself.
pub(crate) fn about_key(id: &str) {
    Span::current().record("key_id", id);
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

#[cfg(test)]
mod tests {
    use actix_web::{
        App, HttpResponse,
        middleware::from_fn,
        test::{TestRequest, init_service, try_call_service},
        web,
    };

    use super::*;

    #[actix_web::test]
    async fn a_panic_is_answered_and_leaves_the_others_alone() {
        let panics =
            |text: String| async move { HttpResponse::Ok().body(text.parse::<u8>().expect("a number").to_string()) };
        let app = App::new()
            .wrap(from_fn(observe))
            .route("/panics", web::get().to(panics))
            .route("/works", web::get().to(HttpResponse::Ok));
        let app = init_service(app).await;
        let Err(error) =
            try_call_service(&app, TestRequest::get().uri("/panics").set_payload("not one").to_request()).await
        else {
            panic!("a panic was answered as if nothing had happened");
        };
        assert_eq!(error.as_error::<ApiError>(), Some(&ApiError::Internal));
        assert_eq!(error.error_response().status(), 500);
        let works = try_call_service(&app, TestRequest::get().uri("/works").to_request()).await;
        assert_eq!(works.expect("an answer").status(), 200);
    }
}
