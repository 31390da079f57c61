//! `POST /admin/senders`

use actix_web::{HttpResponse, web::Data};
use domain::{Scope, Sender};
use utoipa::ToSchema;

use super::items::SenderItem;
use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    schemas,
    state::State,
};

/// A sender for a customer.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct SenderRequest {
    #[schema(schema_with = schemas::sender_customer)]
    customer_id: i64,
    #[schema(schema_with = schemas::sender)]
    sender: String,
}

/// Lets a customer send from this. To do it again changes nothing. It matters where `SENDERS=registered`.
#[utoipa::path(
    post, path = "/admin/senders", tag = "admin", operation_id = "registerSender",
    request_body(content = SenderRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not compressed. \
        Each field once; other fields are ignored."),
    responses(
        (status = 201, body = SenderItem, description = "Registered.", example = json!({
            "customer_id": 1, "sender": "BANK", "created_at": "2026-11-22T19:43:36.128Z"})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, body: JsonObject) -> Result<HttpResponse, ApiError> {
    let permitted = caller.permit(Scope::Admin)?;
    let customer = permitted.customer("customer_id", body.optional_integer("customer_id")?)?;
    let sender = Sender::parse_as("sender", body.string("sender")?)?;
    let registered = state.database.register_sender(customer, &sender).await?;
    Ok(HttpResponse::Created().json(SenderItem::from(registered)))
}
