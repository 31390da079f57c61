//! `DELETE /callbacks/endpoints/{id}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};

use super::{endpoint_id, of_query};
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// Removes an endpoint and cancels what waits for it.
#[utoipa::path(
    delete, path = "/callbacks/endpoints/{id}", tag = "callbacks", operation_id = "removeEndpoint",
    params(
        ("id" = String, Path, description = "The endpoint's id"),
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
    ),
    responses(
        (status = 204, description = "It is removed."),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such endpoint, or it is another customer's."),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let customer = of_query(caller, &query)?;
    let id = endpoint_id(&id)?;
    if state.database.remove_endpoint(customer, &id).await? {
        tracing::info!(endpoint = %id, "an endpoint was removed");
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ApiError::NotFound)
    }
}
