//! `GET /messages/{id}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use domain::{MessageId, Scope};
use persistence::{MessageOverview, RecipientEntry};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    observe::about_message,
    query::Query,
    state::State,
    time::rfc3339,
};

/// One message with its recipients.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageResponse {
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11")]
    message_identifier: String,
    #[schema(example = 1)]
    user_id: i64,
    /// `normal` or `express`.
    #[schema(example = "normal")]
    r#type: String,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
    /// What the request said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "BANK")]
    from: Option<String>,
    /// What the request said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "order-4711")]
    client_reference: Option<String>,
    /// `gsm7` or `ucs2`, where the request used a field beyond text, recipients and type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "gsm7")]
    encoding: Option<String>,
    /// When it is, or was, to be sent, where that was not at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-12-01T08:30:00.000Z")]
    send_at: Option<String>,
    /// When it may not be sent any more, where the request said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-12-01T08:35:00.000Z")]
    expires_at: Option<String>,
    /// Into how many parts the text is cut, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    segments: Option<i16>,
    /// What was charged, for all recipients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    price: Option<i64>,
    recipients: Vec<RecipientItem>,
    /// Ask with this `cursor` for more recipients; null on the last page.
    next_cursor: Option<String>,
}

/// One recipient.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipientItem {
    #[schema(example = "+989128582812")]
    recipient: String,
    /// `pending`, `sending`, `done` or `failed`.
    #[schema(example = "done")]
    status: String,
    /// The operator that took or refused it; empty before.
    #[schema(example = "operatorA")]
    provider: String,
    /// What was charged for it; given back where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    price: Option<i64>,
    /// `delivered`, `undelivered`, `expired`, `rejected` or `unknown`, once a receipt tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "delivered")]
    delivery_status: Option<String>,
    /// Why it was not delivered: `expired`, `cancelled`, or the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "000")]
    error_code: Option<String>,
    #[schema(example = "2026-01-31T12:00:00.045Z")]
    updated_at: String,
    /// What operators call it, where they said.
    operator_messages: Vec<OperatorMessageItem>,
}

/// A message as an operator knows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperatorMessageItem {
    #[schema(example = "operatorA")]
    operator: String,
    #[schema(example = "7f3a90c1")]
    provider_message_id: String,
}

/// What became of one message.
#[utoipa::path(
    get, path = "/messages/{id}", tag = "messages", operation_id = "getMessage",
    params(
        ("id" = String, Path, description = "Its message_identifier"),
        ("limit" = Option<u64>, Query, description = "Most recipients of a page"),
        ("user_id" = Option<i64>, Query, description = "Only if it is this customer's; with a customer's API key always its own"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses(
        (status = 200, body = MessageResponse, description = "The message, with its recipients.", example = json!({
            "message_identifier": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11", "user_id": 1, "type": "normal",
            "created_at": "2026-11-22T19:43:36.129Z", "from": "BANK", "client_reference": "order-4711",
            "encoding": "gsm7", "segments": 1, "price": 1,
            "recipients": [{"recipient": "+989128582812", "status": "done", "provider": "operatorA", "price": 1,
                "updated_at": "2026-11-22T19:43:36.137Z",
                "operator_messages": [{"operator": "operatorA", "provider_message_id": "7f3a90c1"}]}],
            "next_cursor": null})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such message, or it is another customer's."),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let reader = caller.permit(Scope::Read)?.reader("user_id", query.integer("user_id")?)?;
    let (cursor, limit) = (query.cursor()?, query.limit()?);
    let id = MessageId::try_from(id.into_inner()).map_err(|_| ApiError::NotFound)?;
    about_message(&id);
    let found = state.database.message(reader, &id, cursor, limit).await?;
    let message = found.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(response(id, message)))
}

fn response(id: MessageId, message: MessageOverview) -> MessageResponse {
    let details = message.details.as_ref();
    MessageResponse {
        message_identifier: id.into(),
        user_id: message.user_id,
        r#type: message.kind.to_string(),
        created_at: rfc3339(message.created_at),
        from: details.and_then(|details| Some(details.sender.as_ref()?.to_string())),
        client_reference: details.and_then(|details| Some(details.client_reference.as_ref()?.to_string())),
        encoding: details.map(|details| details.encoding.to_string()),
        send_at: details.and_then(|details| details.send_at.map(rfc3339)),
        expires_at: details.and_then(|details| details.expires_at.map(rfc3339)),
        segments: message.segments,
        price: message.price,
        recipients: message.recipients.entries.into_iter().map(item).collect(),
        next_cursor: message.recipients.next.map(persistence::Cursor::to_text),
    }
}

fn item(entry: RecipientEntry) -> RecipientItem {
    let operator_message = |message: persistence::OperatorMessage| OperatorMessageItem {
        operator: message.operator,
        provider_message_id: message.provider_message_id,
    };
    RecipientItem {
        recipient: entry.recipient.into(),
        status: entry.status.to_string(),
        provider: entry.provider,
        price: entry.price,
        delivery_status: entry.delivery_status.map(|status| status.to_string()),
        error_code: entry.error_code,
        updated_at: rfc3339(entry.updated_at),
        operator_messages: entry.operator_messages.into_iter().map(operator_message).collect(),
    }
}
