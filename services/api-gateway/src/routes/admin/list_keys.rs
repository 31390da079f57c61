//! `GET /admin/keys`

use actix_web::{HttpResponse, web::Data};
use domain::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::items::KeyItem;
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// Keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysResponse {
    keys: Vec<KeyItem>,
    /// Ask with this `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists keys without what is secret of them, also those that have expired or were revoked.
#[utoipa::path(
    get, path = "/admin/keys", tag = "admin", operation_id = "listKeys",
    params(
        ("customer_id" = Option<i64>, Query, description = "Only of this customer"),
        ("limit" = Option<u64>, Query, description = "Most entries of a page"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses(
        (status = 200, body = KeysResponse, description = "Newest first.", example = json!({
            "keys": [{"id": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20", "hint": "gylC", "name": "shop", "customer_id": 1,
                "scopes": ["send", "read"], "requests_per_second": 50, "created_at": "2026-11-22T19:43:36.128Z",
                "expires_at": null, "revoked_at": null, "last_used_at": "2026-11-22T20:01:00.000Z"}],
            "next_cursor": null})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, query: Query) -> Result<HttpResponse, ApiError> {
    let whose = caller.permit(Scope::Admin)?.reader("customer_id", query.integer("customer_id")?)?;
    let page = state.database.keys(whose, query.cursor()?, query.limit()?).await?;
    Ok(HttpResponse::Ok().json(KeysResponse {
        keys: page.entries.into_iter().map(Into::into).collect(),
        next_cursor: page.next.map(persistence::Cursor::to_text),
    }))
}
