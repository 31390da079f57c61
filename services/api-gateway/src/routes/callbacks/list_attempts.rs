//! `GET /callbacks/events/{id}/attempts`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{event_id, items::AttemptItem, of_query};
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// What became of an event's attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptsResponse {
    attempts: Vec<AttemptItem>,
}

/// The newest attempts for an event, newest first, 100 at most. They are kept for 30 days.
#[utoipa::path(
    get, path = "/callbacks/events/{id}/attempts", tag = "callbacks", operation_id = "listAttempts",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
    ),
    responses(
        (status = 200, body = AttemptsResponse, description = "Newest first.", example = json!({
            "attempts": [{"at": "2026-11-22T19:43:36.228Z", "duration_ms": 45, "status": 204, "error": null,
                "response": "", "trigger": "schedule"}]})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
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
    let attempts = state.database.callback_attempts(customer, &event_id(&id)?).await?.ok_or(ApiError::NotFound)?;
    let attempts = attempts.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(AttemptsResponse { attempts }))
}
