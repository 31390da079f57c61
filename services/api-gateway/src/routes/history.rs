//! `GET /messages/history`

use actix_web::{HttpResponse, web::Data};
use domain::{CustomerId, MessageId, MessageStatus};
use persistence::{HistoryEntry, HistoryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::{ApiError, ErrorBody},
    observe::{about_message, about_user},
    query::Query,
    state::State,
    time::rfc3339,
};

/// Messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryResponse {
    history: Vec<HistoryItem>,
    /// Ask with this `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// One recipient of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryItem {
    #[schema(example = 1)]
    user_id: i64,
    /// `normal` or `express`.
    #[schema(example = "normal")]
    r#type: String,
    /// `pending`, `sending`, `done` or `failed`.
    #[schema(example = "done")]
    status: String,
    #[schema(example = "09128582812")]
    recipient: String,
    /// The operator that took or refused it; empty before.
    #[schema(example = "operatorA")]
    provider: String,
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11")]
    message_identifier: String,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
    #[schema(example = "2026-01-31T12:00:00.045Z")]
    updated_at: String,
}

/// Lists what was sent, one entry for each recipient. Every filter is optional.
#[utoipa::path(
    get, path = "/messages/history", tag = "messages", operation_id = "listMessages",
    params(
        ("user_id" = Option<i64>, Query, description = "Only of this customer"),
        ("status" = Option<String>, Query, description = "pending, sending, done or failed"),
        ("message_identifier" = Option<String>, Query, description = "Only of this request"),
        ("limit" = Option<u64>, Query, description = "Most entries of a page"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses(
        (status = 200, body = HistoryResponse, description = "Newest first. A page of one status may hold fewer entries than the limit, even none: only a next_cursor of null is the end.", example = json!({
            "history": [{"user_id": 1, "type": "normal", "status": "done", "recipient": "09128582812",
                "provider": "operatorA", "message_identifier": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11",
                "created_at": "2026-11-22T19:43:36.129Z", "updated_at": "2026-11-22T19:43:36.137Z"}],
            "next_cursor": null})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, query: Query) -> Result<HttpResponse, ApiError> {
    let filter = HistoryFilter {
        customer: query.integer("user_id")?.map(|id| CustomerId::parse("user_id", id)).transpose()?,
        status: query.optional("status").map(MessageStatus::parse).transpose()?,
        message_id: query.optional("message_identifier").map(|id| MessageId::try_from(id.to_owned())).transpose()?,
        cursor: query.cursor()?,
    };
    filter.customer.into_iter().for_each(about_user);
    filter.message_id.iter().for_each(about_message);
    let page = state.database.history(&filter, query.limit()?).await?;
    Ok(HttpResponse::Ok().json(HistoryResponse {
        history: page.entries.into_iter().map(item).collect(),
        next_cursor: page.next.map(persistence::Cursor::to_text),
    }))
}

fn item(entry: HistoryEntry) -> HistoryItem {
    HistoryItem {
        user_id: entry.user_id,
        r#type: entry.kind.to_string(),
        status: entry.status.to_string(),
        recipient: entry.recipient.into(),
        provider: entry.provider,
        message_identifier: entry.message_id.into(),
        created_at: rfc3339(entry.created_at),
        updated_at: rfc3339(entry.updated_at),
    }
}
