//! `POST /callbacks/endpoints/{id}/recover`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{endpoint_id, of_body, time};
use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    schemas,
    state::State,
};

/// Transactions of one request, each of which makes a thousand events due.
const ROUNDS: u32 = 20;

/// Which failed events to send again.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct RecoverRequest {
    #[schema(schema_with = schemas::callback_customer)]
    customer_id: i64,
    #[schema(schema_with = schemas::recover_time)]
    since: String,
    #[schema(schema_with = schemas::recover_time)]
    until: String,
}

/// What is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecoverResponse {
    #[schema(example = 17)]
    events: u64,
    /// Whether these were all.
    is_complete: bool,
}

/// Has the failed events of an endpoint sent again that were stored from `since` on and before `until`: 20,000 of them at most. Where `is_complete` is false, ask again.
#[utoipa::path(
    post, path = "/callbacks/endpoints/{id}/recover", tag = "callbacks", operation_id = "recoverEvents",
    params(
        ("id" = String, Path, description = "The endpoint's id"),
        ("customer_id" = Option<i64>, Query, description = "Whose it is; where the body says too, they must agree"),
    ),
    request_body(content = RecoverRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not \
        compressed. Each field once; other fields are ignored."),
    responses(
        (status = 202, body = RecoverResponse, description = "They will be sent.", example = json!({"events": 17, "is_complete": true})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such endpoint, or it is another customer's."),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable"),
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
    let window = (time("since", &body.string("since")?)?, time("until", &body.string("until")?)?);
    if window.0 >= window.1 {
        return Err(ApiError::InvalidInput("since must be before until".into()));
    }
    let id = endpoint_id(&id)?;
    let mut events = 0;
    for _ in 0..ROUNDS {
        let recovered = state.database.recover_callbacks(customer, &id, window).await?.ok_or(ApiError::NotFound)?;
        if recovered == 0 {
            return Ok(HttpResponse::Accepted().json(RecoverResponse { events, is_complete: true }));
        }
        events += recovered;
    }
    Ok(HttpResponse::Accepted().json(RecoverResponse { events, is_complete: false }))
}
