//! `POST /messages/send`

use actix_web::{HttpMessage as _, HttpRequest, web::Data};
use domain::{
    CustomerId, Lane, Message, MessageBody, MessageId, MessageText, MessageType, OutboxPayload, Recipient, Recipients,
    TransactionId,
};
use persistence::{AcceptOutcome, AcceptRequest, IdempotentRequest, Route};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    body::JsonObject,
    error::{ApiError, ErrorBody},
    idempotency::{Replayable, request_key},
    observe::{about_message, about_user},
    schemas,
    state::State,
};

/// A request to send one text to some recipients.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct SendRequest {
    #[schema(schema_with = schemas::customer_id)]
    customer_id: i64,
    #[schema(schema_with = schemas::text)]
    text: String,
    #[schema(schema_with = schemas::recipients)]
    recipients: Vec<String>,
    #[schema(schema_with = schemas::message_type)]
    r#type: Option<String>,
}

/// The request was charged and will be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SendResponse {
    /// Always `processing`.
    #[schema(example = "processing")]
    status: &'static str,
    /// Find it again in `/messages/history`.
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11")]
    message_identifier: String,
}

/// Charges the customer and stores the message; it is delivered in the background.
#[utoipa::path(
    post, path = "/messages/send", tag = "messages", operation_id = "sendMessage",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters. A retry with \
        the same key and request gets the first answer and is not charged again, for 24 hours.")),
    request_body(content = SendRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not compressed. \
        Each field once; other fields are ignored."),
    responses(
        (status = 200, body = SendResponse, description = "Charged and stored. `Idempotency-Replay: true` marks the \
            answer to a retry. `RateLimit-*` headers say where the customer stands with its limit.",
            links(
                ("history" = (operation_id = "listMessages", description = "What became of it, for each recipient",
                    parameters(("user_id" = "$request.body#/customer_id"),
                        ("message_identifier" = "$response.body#/message_identifier")))),
                ("balance" = (operation_id = "getBalance", description = "What it cost",
                    parameters(("user_id" = "$request.body#/customer_id")))),
            ),
            example = json!({"status": "processing", "message_identifier": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11"})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 402, body = ErrorBody, description = "insufficient_balance"),
        (status = 409, body = ErrorBody, description = "idempotency_in_progress"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 422, body = ErrorBody, description = "idempotency_mismatch"),
        (status = 429, body = ErrorBody, description = "rate_limit_exceeded"),
        (status = 503, body = ErrorBody, description = "system_overloaded or unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    request: HttpRequest,
    body: JsonObject,
) -> Result<Replayable<SendResponse>, ApiError> {
    let message = parse(&body)?;
    about_user(message.customer);
    let used = request_key(&request, &fingerprinted(&message))?;
    if let Some(status) = state.limits.check_customer(message.customer)? {
        request.extensions_mut().insert(status);
    }
    state.backpressure.check(message.kind)?;
    let _reserved = state.in_flight.reserve(Route::Send, message.customer, used.as_ref())?;
    let outcome = state.accept.accept(accept_request(&state, message, used)).await?;
    if let AcceptOutcome::Accepted(id) | AcceptOutcome::Replayed(id) = &outcome {
        about_message(id);
    }
    match outcome {
        AcceptOutcome::Accepted(id) => Ok(Replayable::first(answer(id))),
        AcceptOutcome::Replayed(id) => Ok(Replayable::replay(answer(id))),
        AcceptOutcome::KeyReused => Err(ApiError::IdempotencyMismatch),
        AcceptOutcome::InsufficientBalance => Err(ApiError::InsufficientBalance),
    }
}

fn parse(body: &JsonObject) -> Result<Message, ApiError> {
    let kind = body.optional_string("type")?;
    Ok(Message {
        customer: CustomerId::parse("customer_id", body.integer("customer_id")?)?,
        text: MessageText::parse(body.string("text")?)?,
        recipients: Recipients::parse(body.strings("recipients")?)?,
        kind: kind.as_deref().map(MessageType::parse).transpose()?.unwrap_or_default(),
    })
}

/// What makes two requests the same.
fn fingerprinted(message: &Message) -> (CustomerId, &str, &[Recipient], MessageType) {
    (message.customer, message.text.as_str(), message.recipients.as_slice(), message.kind)
}

fn accept_request(state: &State, message: Message, idempotency: Option<IdempotentRequest>) -> AcceptRequest {
    let transaction_id = TransactionId::from_uuid(Uuid::now_v7());
    let kind = message.kind;
    let turn = state.turns.take(message.customer, kind, &message.recipients);
    AcceptRequest {
        payload: OutboxPayload {
            exchange: state.topology.exchange().to_owned(),
            routing_key: state.topology.queue(Lane::of(kind)).to_owned(),
            message: MessageBody::new(message, transaction_id.clone(), MessageId::from_uuid(Uuid::now_v7())),
            transaction_id,
        },
        unit_price: state.prices.of(kind),
        idempotency,
        traceparent: telemetry::propagation::current_traceparent(),
        turn,
    }
}

fn answer(id: MessageId) -> SendResponse {
    SendResponse { status: "processing", message_identifier: id.into() }
}
