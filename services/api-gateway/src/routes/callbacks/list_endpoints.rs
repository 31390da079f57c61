//! `GET /callbacks/endpoints`

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;

use super::{items::EndpointItem, of_query};
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// A customer's endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointsResponse {
    endpoints: Vec<EndpointItem>,
}

/// Lists a customer's endpoints without their secrets, oldest first. There are at most 10.
#[utoipa::path(
    get, path = "/callbacks/endpoints", tag = "callbacks", operation_id = "listEndpoints",
    params(
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
    ),
    responses(
        (status = 200, body = EndpointsResponse, description = "Oldest first.", example = json!({"endpoints": [{
            "id": "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20", "customer_id": 1, "url": "https://example.com/callbacks",
            "description": "orders", "events": ["message.delivered", "message.failed"], "enabled": true,
            "disabled_reason": null, "failing_since": null, "paused_until": null, "per_second": null,
            "previous_secret_until": null, "created_at": "2026-11-22T19:43:36.128Z"}]})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, query: Query) -> Result<HttpResponse, ApiError> {
    let customer = of_query(caller, &query)?;
    let endpoints = state.database.endpoints(customer).await?.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(EndpointsResponse { endpoints }))
}
