//! `POST /balance/add`

use actix_web::{HttpRequest, web::Data};
use domain::{Balance, CustomerId, Scope, TopUpAmount, TransactionId, money::MAX_BALANCE};
use persistence::{Route, TopUpOutcome, TopUpRequest};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    idempotency::{Replayable, request_key},
    observe::about_user,
    schemas,
    state::State,
};

/// Most characters of a description.
const MAX_DESCRIPTION: usize = 1_000;

/// Credits to add.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct AddBalanceRequest {
    #[schema(schema_with = schemas::user_id)]
    user_id: i64,
    #[schema(schema_with = schemas::top_up_amount)]
    balance: i64,
    #[schema(schema_with = described)]
    description: Option<String>,
}

fn described() -> RefOr<Schema> {
    schemas::optional_text(MAX_DESCRIPTION, "What it is for", "top-up")
}

/// The credits were added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddBalanceResponse {
    /// Always `done`.
    #[schema(example = "done")]
    status: &'static str,
    #[schema(example = 1)]
    user_id: i64,
    /// The new balance.
    #[schema(example = 100)]
    balance: i64,
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d12")]
    transaction_id: String,
}

/// Adds to a balance; the first top-up creates it.
#[utoipa::path(
    post, path = "/balance/add", tag = "balance", operation_id = "addBalance",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters. A retry with \
        the same key and request gets the first answer and adds nothing, for 24 hours.")),
    request_body(content = AddBalanceRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not \
        compressed. Each field once; other fields are ignored."),
    responses(
        (status = 200, body = AddBalanceResponse, description = "Added. `Idempotency-Replay: true` marks the answer \
            to a retry.",
            links(
                ("balance" = (operation_id = "getBalance", description = "The balance and how it came to be",
                    parameters(("user_id" = "$response.body#/user_id")))),
                ("send" = (operation_id = "sendMessage", description = "Spend some of it",
                    request_body = json!({"customer_id": "$response.body#/user_id", "text": "hi",
                        "recipients": ["09128582812"]}))),
            ),
            example = json!({"status": "done", "user_id": 1, "balance": 100,
                "transaction_id": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d12"})),
        (status = 400, body = ErrorBody, description = "invalid_input; also when the balance would pass 10^15"),
        (status = 409, body = ErrorBody, description = "idempotency_in_progress"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 422, body = ErrorBody, description = "idempotency_mismatch"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    request: HttpRequest,
    caller: Caller,
    body: JsonObject,
) -> Result<Replayable<AddBalanceResponse>, ApiError> {
    let customer = caller.permit(Scope::Topup)?.customer("user_id", body.optional_integer("user_id")?)?;
    let mut top_up = parse(&body, customer)?;
    about_user(top_up.customer);
    let fingerprinted = (top_up.customer, top_up.amount.get(), &top_up.description);
    top_up.idempotency = request_key(&request, &fingerprinted)?;
    let _reserved = state.in_flight.reserve(Route::TopUp, top_up.customer, top_up.idempotency.as_ref())?;
    let outcome = state.database.top_up(&top_up).await?;
    match outcome {
        TopUpOutcome::Added(balance, id) => Ok(Replayable::first(answer(top_up.customer, balance, id))),
        TopUpOutcome::Replayed(balance, id) => Ok(Replayable::replay(answer(top_up.customer, balance, id))),
        TopUpOutcome::KeyReused => Err(ApiError::IdempotencyMismatch),
        TopUpOutcome::TooMuch => {
            Err(ApiError::InvalidInput(format!("balance would pass the limit of {MAX_BALANCE} credits")))
        }
    }
}

fn parse(body: &JsonObject, customer: CustomerId) -> Result<TopUpRequest, ApiError> {
    let description = body.optional_string("description")?;
    if description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(ApiError::InvalidInput(format!("description must have at most {MAX_DESCRIPTION} characters")));
    }
    Ok(TopUpRequest {
        customer,
        amount: TopUpAmount::parse(body.integer("balance")?)?,
        description,
        transaction_id: TransactionId::from_uuid(Uuid::now_v7()),
        idempotency: None,
    })
}

fn answer(customer: CustomerId, balance: Balance, transaction_id: TransactionId) -> AddBalanceResponse {
    AddBalanceResponse {
        status: "done",
        user_id: customer.get(),
        balance: balance.get(),
        transaction_id: transaction_id.into(),
    }
}
