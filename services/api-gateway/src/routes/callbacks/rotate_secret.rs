//! `POST /callbacks/endpoints/{id}/rotate-secret`

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use domain::{Invalid, grant::MAX_OVERLAP};
use utoipa::ToSchema;

use super::{endpoint_id, items::EndpointWithSecret, of_body};
use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    schemas,
    state::State,
};

/// How a secret is replaced.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct RotateSecretRequest {
    #[schema(schema_with = schemas::callback_customer)]
    customer_id: i64,
    #[schema(schema_with = schemas::overlap_seconds)]
    overlap_seconds: i64,
}

/// Gives an endpoint another secret; the one before signs too for `overlap_seconds`.
#[utoipa::path(
    post, path = "/callbacks/endpoints/{id}/rotate-secret", tag = "callbacks", operation_id = "rotateEndpointSecret",
    params(
        ("id" = String, Path, description = "The endpoint's id"),
        ("customer_id" = Option<i64>, Query, description = "Whose it is; where the body says too, they must agree"),
    ),
    request_body(content = RotateSecretRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not \
        compressed. Each field once; other fields are ignored."),
    responses(
        (status = 200, body = EndpointWithSecret, description = "The endpoint, with its new secret.", example = json!({
            "id": "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20", "customer_id": 1, "url": "https://example.com/callbacks",
            "description": "orders", "events": ["message.delivered", "message.failed"], "enabled": true,
            "disabled_reason": null, "failing_since": null, "paused_until": null, "per_second": null,
            "previous_secret_until": null, "created_at": "2026-11-22T19:43:36.128Z",
            "secret": "whsec_..."})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such endpoint, or it is another customer's."),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable; also while this platform has no key to make secrets from"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: Query,
    body: JsonObject,
) -> Result<HttpResponse, ApiError> {
    let customer = of_body(caller, &body, &query)?;
    let overlap = overlap(&body)?;
    let id = endpoint_id(&id)?;
    state.callbacks.keys()?;
    let endpoint = state.database.rotate_endpoint_secret(customer, &id, overlap).await?.ok_or(ApiError::NotFound)?;
    tracing::info!(endpoint = endpoint.id, overlap_seconds = overlap.as_secs(), "an endpoint has another secret");
    let secret = state.callbacks.secret(&endpoint)?;
    Ok(HttpResponse::Ok().json(EndpointWithSecret { endpoint: endpoint.into(), secret }))
}

fn overlap(body: &JsonObject) -> Result<Duration, ApiError> {
    let fits = u64::try_from(body.integer("overlap_seconds")?).ok().filter(|seconds| *seconds <= MAX_OVERLAP);
    let expected = format!("must be a whole number from 0 to {MAX_OVERLAP}");
    fits.map(Duration::from_secs).ok_or_else(|| Invalid::new("overlap_seconds", expected).into())
}
