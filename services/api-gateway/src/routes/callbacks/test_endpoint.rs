//! `POST /callbacks/endpoints/{id}/test`

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

/// What is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestResponse {
    /// The event.
    #[schema(example = "evt_0199f2b45d0e7cc08f6e2f1b0c9a7d21")]
    id: String,
}

/// Has an event `endpoint.test` sent to an endpoint, whatever it is told of.
#[utoipa::path(
    post, path = "/callbacks/endpoints/{id}/test", tag = "callbacks", operation_id = "testEndpoint",
    params(
        ("id" = String, Path, description = "The endpoint's id"),
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
    ),
    responses(
        (status = 202, body = TestResponse, description = "It will be sent.", example = json!({"id": "evt_0199f2b45d0e7cc08f6e2f1b0c9a7d21"})),
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
    let event = state.database.test_endpoint(customer, &endpoint_id(&id)?).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Accepted().json(TestResponse { id: event.as_str().to_owned() }))
}
