//! `GET /callbacks/endpoints/{id}/secret`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{endpoint_id, of_query};
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// What signs an endpoint's callbacks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretResponse {
    /// For a library of Standard Webhooks.
    #[schema(example = "whsec_...")]
    secret: String,
}

/// The current secret of an endpoint.
#[utoipa::path(
    get, path = "/callbacks/endpoints/{id}/secret", tag = "callbacks", operation_id = "getEndpointSecret",
    params(
        ("id" = String, Path, description = "The endpoint's id"),
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
    ),
    responses(
        (status = 200, body = SecretResponse, description = "The secret.", example = json!({"secret": "whsec_..."})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such endpoint, or it is another customer's."),
        (status = 503, body = ErrorBody, description = "unavailable; also while this platform has no key to make secrets from"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let customer = of_query(caller, &query)?;
    let endpoint = state.database.endpoint(customer, &endpoint_id(&id)?).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(SecretResponse { secret: state.callbacks.secret(&endpoint)? }))
}
