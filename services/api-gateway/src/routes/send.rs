//! `POST /messages/send`

use actix_web::{HttpMessage as _, HttpRequest, web::Data};
use domain::{Lane, MessageBody, MessageId, OutboxPayload, PriceUnit, Scope, SendAt, TransactionId, Turn};
use persistence::{AcceptOutcome, AcceptRequest, Charged, IdempotentRequest, Reader, Route};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    body::JsonObject,
    caller::Caller,
    draft::Draft,
    error::{ApiError, ErrorBody},
    idempotency::{Replayable, request_key},
    observe::{about_message, about_user},
    schemas,
    state::State,
    time::now,
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
    #[schema(schema_with = schemas::from)]
    from: Option<String>,
    #[schema(schema_with = schemas::client_reference)]
    client_reference: Option<String>,
    #[schema(schema_with = schemas::encoding)]
    encoding: Option<String>,
    #[schema(schema_with = schemas::validity_seconds)]
    validity_seconds: Option<i64>,
    #[schema(schema_with = schemas::send_at)]
    send_at: Option<String>,
    #[schema(schema_with = schemas::message_callback_url)]
    callback_url: Option<String>,
}

/// The request was charged and will be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SendResponse {
    /// `processing`; `scheduled` where it waits for `send_at`.
    #[schema(example = "processing")]
    status: &'static str,
    /// Find it again in `/messages/history`.
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11")]
    message_identifier: String,
    /// What the request said; this and what follows where it used a field beyond text, recipients and type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "order-4711")]
    client_reference: Option<String>,
    /// How the text goes over the air: `gsm7` or `ucs2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "gsm7")]
    encoding: Option<&'static str>,
    /// Into how many parts it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    segments: Option<i16>,
    /// What was charged, for all recipients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    price: Option<i64>,
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
    caller: Caller,
    body: JsonObject,
) -> Result<Replayable<SendResponse>, ApiError> {
    let customer = caller.permit(Scope::Send)?.customer("customer_id", body.optional_integer("customer_id")?)?;
    about_user(customer);
    let draft = Draft::read(&body, customer, &state.composition, now())?;
    let used = request_key(&request, &draft.fingerprinted())?;
    // What was accepted once may be refused by now; its repetition gets the answer of then.
    let repeated = |refusal: ApiError| if used.is_some() { Ok(Some(refusal)) } else { Err(refusal) };
    let mut refusal = match draft.options.when() {
        SendAt::Missed => repeated(SendAt::missed().into())?,
        SendAt::Now | SendAt::Later(_) => None,
    };
    if let Some(status) = state.limits.check_customer(customer)? {
        request.extensions_mut().insert(status);
    }
    state.backpressure.check(draft.message.kind)?;
    match draft.check(&state.composition, &state.database).await {
        Err(error @ ApiError::InvalidInput(_)) => refusal = repeated(error)?,
        checked => checked?,
    }
    let _reserved = state.in_flight.reserve(Route::Send, customer, used.as_ref())?;
    let composed = Composed::of(&draft);
    let outcome = state.accept.accept(accept_request(&state, draft, used, refusal.is_some())).await?;
    if let AcceptOutcome::Accepted(id) | AcceptOutcome::Replayed(id) = &outcome {
        about_message(id);
    }
    match outcome {
        AcceptOutcome::Accepted(id) => Ok(Replayable::first(answer(id, composed))),
        AcceptOutcome::Replayed(id) => {
            // What it cost then: prices may have changed since. A plain answer tells nothing of it.
            let charged = match &composed {
                Some(_) => state.database.charged(Reader::Customer(customer), &id).await?,
                None => None,
            };
            let composed = composed.map(|composed| composed.charged_before(charged));
            Ok(Replayable::replay(answer(id, composed)))
        }
        AcceptOutcome::KeyReused => Err(ApiError::IdempotencyMismatch),
        AcceptOutcome::InsufficientBalance => Err(ApiError::InsufficientBalance),
        AcceptOutcome::Missed => Err(refusal.unwrap_or_else(|| SendAt::missed().into())),
    }
}

fn accept_request(
    state: &State,
    draft: Draft,
    idempotency: Option<IdempotentRequest>,
    only_replay: bool,
) -> AcceptRequest {
    let transaction_id = TransactionId::from_uuid(Uuid::now_v7());
    let Draft { message, segments, quote, options, .. } = draft;
    let (kind, when) = (message.kind, options.when());
    // What waits for its time gets its turn then, and takes none now.
    let turn = match when {
        SendAt::Now if !only_replay => state.turns.take(message.customer, kind, &message.recipients, segments),
        _ => Turn::from_stored(0),
    };
    let by_segment = state.composition.tariff.unit == PriceUnit::Segment;
    AcceptRequest {
        segments: (by_segment || !options.is_empty()).then_some(segments),
        client_reference: options.client_reference,
        callback_url: options.callback_url.map(|url| url.as_str().to_owned()),
        validity: options.validity,
        send_at: match when {
            SendAt::Later(time) => Some(time),
            SendAt::Now | SendAt::Missed => None,
        },
        only_replay,
        payload: OutboxPayload {
            exchange: state.topology.exchange().to_owned(),
            routing_key: state.topology.queue(Lane::of(kind)).to_owned(),
            message: MessageBody::new(message, transaction_id.clone(), MessageId::from_uuid(Uuid::now_v7())),
            transaction_id,
        },
        quote,
        idempotency,
        traceparent: telemetry::propagation::current_traceparent(),
        turn,
    }
}

/// What is told of a message whose request used a new field.
struct Composed {
    client_reference: Option<String>,
    encoding: &'static str,
    segments: i16,
    price: i64,
    is_scheduled: bool,
}

impl Composed {
    fn of(draft: &Draft) -> Option<Self> {
        Some(Self {
            encoding: draft.message.encoding?.as_str(),
            client_reference: draft.options.client_reference.clone().map(Into::into),
            segments: draft.segments.get().into(),
            price: draft.quote.total().get(),
            is_scheduled: matches!(draft.options.when(), SendAt::Later(_)),
        })
    }

    /// The same, with what was charged for the first of these requests.
    fn charged_before(self, charged: Option<Charged>) -> Self {
        let Some(Charged { price, segments, scheduled }) = charged else { return self };
        Self { price, segments: segments.unwrap_or(self.segments), is_scheduled: scheduled, ..self }
    }
}

fn answer(id: MessageId, composed: Option<Composed>) -> SendResponse {
    let message_identifier = id.into();
    let Some(Composed { client_reference, encoding, segments, price, is_scheduled }) = composed else {
        return SendResponse {
            status: "processing",
            message_identifier,
            client_reference: None,
            encoding: None,
            segments: None,
            price: None,
        };
    };
    let status = if is_scheduled { "scheduled" } else { "processing" };
    let (encoding, segments, price) = (Some(encoding), Some(segments), Some(price));
    SendResponse { status, message_identifier, client_reference, encoding, segments, price }
}
