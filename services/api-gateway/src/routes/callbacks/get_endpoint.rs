//! `GET /callbacks/endpoints/{id}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};

use super::{endpoint_id, items::EndpointItem, of_query};
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// An endpoint without its secret.
#[utoipa::path(
    get, path = "/callbacks/endpoints/{id}", tag = "callbacks", operation_id = "getEndpoint",
    params(
        ("id" = String, Path, description = "The endpoint's id"),
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
    ),
    responses(
        (status = 200, body = EndpointItem, description = "The endpoint.", example = json!({
            "id": "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20", "customer_id": 1, "url": "https://example.com/callbacks",
            "description": "orders", "events": ["message.delivered", "message.failed"], "enabled": true,
            "disabled_reason": null, "failing_since": null, "paused_until": null, "per_second": null,
            "previous_secret_until": null, "created_at": "2026-11-22T19:43:36.128Z"})),
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
    let endpoint = state.database.endpoint(customer, &endpoint_id(&id)?).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(EndpointItem::from(endpoint)))
}
