//! `GET /messages/history`

use actix_web::{HttpResponse, web::Data};
use domain::{ClientReference, DeliveryStatus, MessageId, MessageStatus, Scope};
use persistence::{Extra, HistoryEntry, HistoryFilter, Reader};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::Caller,
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
    /// Into how many parts the text is cut; this and what follows where the request used `from`, `client_reference` or `encoding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    segments: Option<i16>,
    /// What was charged for this recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    price: Option<i64>,
    /// What the request said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "BANK")]
    from: Option<String>,
    /// What the request said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "order-4711")]
    client_reference: Option<String>,
    /// `delivered`, `undelivered`, `expired`, `rejected` or `unknown`, once a receipt tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "delivered")]
    delivery_status: Option<String>,
    /// Why it was not delivered, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "000")]
    error_code: Option<String>,
}

/// Lists what was sent, one entry for each recipient. Every filter is optional.
#[utoipa::path(
    get, path = "/messages/history", tag = "messages", operation_id = "listMessages",
    params(
        ("user_id" = Option<i64>, Query, description = "Only of this customer; with a customer's API key always its own"),
        ("status" = Option<String>, Query, description = "pending, sending, done or failed"),
        ("delivery_status" = Option<String>, Query, description = "delivered, undelivered, expired, rejected or unknown"),
        ("client_reference" = Option<String>, Query, description = "Only what the customer gave this reference: with user_id, or a customer's API key"),
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
pub(crate) async fn handler(state: Data<State>, caller: Caller, query: Query) -> Result<HttpResponse, ApiError> {
    let reader = caller.permit(Scope::Read)?.reader("user_id", query.integer("user_id")?)?;
    let filter = HistoryFilter {
        reader,
        status: query.optional("status").map(MessageStatus::parse).transpose()?,
        delivery_status: query.optional("delivery_status").map(DeliveryStatus::parse).transpose()?,
        message_id: query.optional("message_identifier").map(|id| MessageId::try_from(id.to_owned())).transpose()?,
        cursor: query.cursor()?,
    };
    let reference =
        query.optional("client_reference").map(|text| ClientReference::parse(text.to_owned())).transpose()?;
    let limit = query.limit()?;
    if let Reader::Customer(customer) = reader {
        about_user(customer);
    }
    filter.message_id.iter().for_each(about_message);
    let page = match (reference, reader) {
        (None, _) => state.database.history(&filter, limit).await?,
        (Some(reference), Reader::Customer(customer)) => {
            state.database.history_of_reference(customer, &reference, &filter, limit).await?
        }
        (Some(_), Reader::Staff) => return Err(ApiError::InvalidInput("client_reference needs user_id".into())),
    };
    Ok(HttpResponse::Ok().json(HistoryResponse {
        history: page.entries.into_iter().map(item).collect(),
        next_cursor: page.next.map(persistence::Cursor::to_text),
    }))
}

fn item(entry: HistoryEntry) -> HistoryItem {
    let (segments, price, details) = match entry.extra {
        Some(Extra { segments, price, details }) => (segments, price, Some(details)),
        None => (None, None, None),
    };
    let (from, client_reference) = details.map_or((None, None), |details| (details.sender, details.client_reference));
    HistoryItem {
        user_id: entry.user_id,
        r#type: entry.kind.to_string(),
        status: entry.status.to_string(),
        recipient: entry.recipient.into(),
        provider: entry.provider,
        message_identifier: entry.message_id.into(),
        created_at: rfc3339(entry.created_at),
        updated_at: rfc3339(entry.updated_at),
        segments,
        price,
        from: from.map(|sender| sender.to_string()),
        client_reference: client_reference.map(|reference| reference.to_string()),
        delivery_status: entry.delivery_status.map(|status| status.to_string()),
        error_code: entry.error_code,
    }
}
