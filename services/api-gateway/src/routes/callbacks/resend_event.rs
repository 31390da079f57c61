//! `POST /callbacks/events/{id}/resend`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use persistence::Resent;
use serde::Serialize;
use utoipa::ToSchema;

use super::{event_id, of_query};
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// What is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResendResponse {
    /// The event.
    #[schema(example = "evt_0199f2b45d0e7cc08f6e2f1b0c9a7d21")]
    id: String,
}

/// Has an event sent again, with the same id and all attempts before it, whatever became of it.
#[utoipa::path(
    post, path = "/callbacks/events/{id}/resend", tag = "callbacks", operation_id = "resendEvent",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
    ),
    responses(
        (status = 202, body = ResendResponse, description = "It will be sent.", example = json!({
            "id": "evt_0199f2b45d0e7cc08f6e2f1b0c9a7d21"})),
        (status = 400, body = ErrorBody, description = "invalid_input; also when its endpoint was removed"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such event, or it is another customer's."),
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
    let id = event_id(&id)?;
    match state.database.resend_callback(customer, &id).await? {
        Resent::Due => Ok(HttpResponse::Accepted().json(ResendResponse { id: id.as_str().to_owned() })),
        Resent::NotFound => Err(ApiError::NotFound),
        Resent::NoEndpoint => Err(ApiError::InvalidInput("the event's endpoint was removed".into())),
    }
}
