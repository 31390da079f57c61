//! `GET /admin/senders`

use actix_web::{HttpResponse, web::Data};
use domain::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::items::SenderItem;
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// Registered senders, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SendersResponse {
    senders: Vec<SenderItem>,
    /// Ask with this `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists what customers may send from where `SENDERS=registered`.
#[utoipa::path(
    get, path = "/admin/senders", tag = "admin", operation_id = "listSenders",
    params(
        ("customer_id" = Option<i64>, Query, description = "Only of this customer"),
        ("limit" = Option<u64>, Query, description = "Most entries of a page"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses(
        (status = 200, body = SendersResponse, description = "Newest first.", example = json!({
            "senders": [{"customer_id": 1, "sender": "BANK", "created_at": "2026-11-22T19:43:36.128Z"}],
            "next_cursor": null})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, query: Query) -> Result<HttpResponse, ApiError> {
    let whose = caller.permit(Scope::Admin)?.reader("customer_id", query.integer("customer_id")?)?;
    let page = state.database.senders(whose, query.cursor()?, query.limit()?).await?;
    Ok(HttpResponse::Ok().json(SendersResponse {
        senders: page.entries.into_iter().map(Into::into).collect(),
        next_cursor: page.next.map(persistence::Cursor::to_text),
    }))
}
