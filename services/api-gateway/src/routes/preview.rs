//! `POST /messages/preview`

use actix_web::{HttpResponse, web::Data};
use domain::{Scope, SendAt};
use serde::Serialize;
use utoipa::ToSchema;

use super::send::SendRequest;
use crate::{
    body::JsonObject,
    caller::Caller,
    draft::Draft,
    error::{ApiError, ErrorBody},
    observe::about_user,
    state::State,
    time::now,
};

/// What a message would be, and cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewResponse {
    /// How its text would go over the air: `gsm7` or `ucs2`.
    #[schema(example = "gsm7")]
    encoding: &'static str,
    /// Into how many parts it would be cut.
    #[schema(example = 2)]
    segments: u8,
    /// Its length: septets of GSM 7, or units of UTF-16.
    #[schema(example = 161)]
    units: usize,
    /// How many more units the last part would take.
    #[schema(example = 145)]
    units_left_in_last_segment: usize,
    /// Different recipients, after their numbers were normalised.
    #[schema(example = 2)]
    recipients: usize,
    #[schema(example = 2)]
    price_per_recipient: i64,
    /// What would be charged.
    #[schema(example = 4)]
    price: i64,
    /// The balance now.
    #[schema(example = 98)]
    balance: i64,
    /// Whether the balance covers it.
    #[schema(example = true)]
    sufficient: bool,
    /// The first character that GSM 7 cannot carry: its position, counted in characters from 1; null where there is none.
    first_not_gsm7: Option<usize>,
}

/// Tells what a message would be cut into and cost. Nothing is charged, stored or sent.
#[utoipa::path(
    post, path = "/messages/preview", tag = "messages", operation_id = "previewMessage",
    request_body(content = SendRequest, description = "As for `POST /messages/send`. JSON in UTF-8, at most 262144 bytes \
        (256 KiB), not compressed. Each field once; other fields are ignored."),
    responses(
        (status = 200, body = PreviewResponse, description = "What it would be.", example = json!({
            "encoding": "gsm7", "segments": 2, "units": 161, "units_left_in_last_segment": 145, "recipients": 2,
            "price_per_recipient": 2, "price": 4, "balance": 98, "sufficient": true, "first_not_gsm7": null})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, body: JsonObject) -> Result<HttpResponse, ApiError> {
    let customer = caller.permit(Scope::Send)?.customer("customer_id", body.optional_integer("customer_id")?)?;
    about_user(customer);
    let draft = Draft::read(&body, customer, &state.composition, now())?;
    if draft.options.when() == SendAt::Missed {
        return Err(SendAt::missed().into());
    }
    draft.check(&state.composition, &state.database).await?;
    let balance = state.database.balance(customer).await?;
    let recipients = draft.message.recipients.as_slice();
    Ok(HttpResponse::Ok().json(PreviewResponse {
        encoding: draft.segmentation.encoding().as_str(),
        segments: draft.segments.get(),
        units: draft.segmentation.units(),
        units_left_in_last_segment: draft.segmentation.units_left(),
        recipients: recipients.len(),
        price_per_recipient: draft.quote.price_of(&recipients[0]).get(),
        price: draft.quote.total().get(),
        balance: balance.get(),
        sufficient: balance.charge(draft.quote.total()).is_some(),
        first_not_gsm7: draft.segmentation.first_not_gsm7(),
    }))
}
