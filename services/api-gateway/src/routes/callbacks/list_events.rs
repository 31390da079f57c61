//! `GET /callbacks/events`

use actix_web::{HttpResponse, web::Data};
use domain::{CallbackStatus, EndpointId};
use persistence::CallbackFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::{items::EventItem, of_query, time};
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// A customer's events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsResponse {
    events: Vec<EventItem>,
    /// Ask with this `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists what endpoints were and are to be told, newest first. With `endpoint` or `status` a page may hold fewer than there are: go on while there is a `next_cursor`.
#[utoipa::path(
    get, path = "/callbacks/events", tag = "callbacks", operation_id = "listEvents",
    params(
        ("customer_id" = i64, Query, description = "Whose it is; a key of that customer need not say"),
        ("endpoint" = Option<String>, Query, description = "Only for this endpoint"),
        ("status" = Option<String>, Query, description = "Only in this state"),
        ("since" = Option<String>, Query, description = "Only those stored at this time or later"),
        ("limit" = Option<u64>, Query, description = "Most entries of a page"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses(
        (status = 200, body = EventsResponse, description = "Newest first.", example = json!({
            "events": [{"id": "evt_0199f2b45d0e7cc08f6e2f1b0c9a7d21", "endpoint": "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20",
                "type": "endpoint.test", "status": "done", "attempts": 1, "next_attempt_at": null,
                "created_at": "2026-11-22T19:43:36.128Z", "payload": {"type": "endpoint.test",
                    "timestamp": "2026-11-22T19:43:36.128Z", "data": {"endpoint": "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20"}}}],
            "next_cursor": null})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, query: Query) -> Result<HttpResponse, ApiError> {
    let customer = of_query(caller, &query)?;
    let endpoint = query.optional("endpoint").map(|id| EndpointId::parse(id).ok_or_else(wrong_endpoint)).transpose()?;
    let status = query.optional("status").map(CallbackStatus::parse).transpose()?;
    let since = query.optional("since").map(|text| time("since", text)).transpose()?;
    let filter = CallbackFilter { endpoint, status, since };
    let page = state.database.callback_events(customer, &filter, query.cursor()?, query.limit()?).await?;
    Ok(HttpResponse::Ok().json(EventsResponse {
        events: page.entries.into_iter().map(Into::into).collect(),
        next_cursor: page.next.map(persistence::Cursor::to_text),
    }))
}

fn wrong_endpoint() -> ApiError {
    ApiError::InvalidInput("endpoint must be the id of an endpoint, such as ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20".into())
}
