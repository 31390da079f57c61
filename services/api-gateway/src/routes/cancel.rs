//! `POST /messages/{id}/cancel`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use domain::{MessageId, Scope};
use persistence::{Cancel, Cancelled};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    observe::about_message,
    query::Query,
    state::State,
};

/// The message will not be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CancelResponse {
    /// Always `cancelled`.
    #[schema(example = "cancelled")]
    status: &'static str,
    /// To how many it was to go.
    #[schema(example = 2)]
    recipients: usize,
    /// What was given back.
    #[schema(example = 4)]
    refunded: i64,
}

/// Cancels a message that waits for its `send_at`, and gives back what it cost. To do it again is answered in the same way.
#[utoipa::path(
    post, path = "/messages/{id}/cancel", tag = "messages", operation_id = "cancelMessage",
    params(
        ("id" = String, Path, description = "Its message_identifier"),
        ("user_id" = Option<i64>, Query, description = "Only if it is this customer's; with a customer's API key always its own"),
    ),
    responses(
        (status = 200, body = CancelResponse, description = "It will not be sent.", example = json!({
            "status": "cancelled", "recipients": 2, "refunded": 4})),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such message, or it is another customer's."),
        (status = 409, body = ErrorBody, description = "not_cancellable"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let reader = caller.permit(Scope::Send)?.reader("user_id", query.integer("user_id")?)?;
    let id = MessageId::try_from(id.into_inner()).map_err(|_| ApiError::NotFound)?;
    about_message(&id);
    match state.database.cancel(reader, &id).await? {
        Cancel::Cancelled(Cancelled { recipients, refunded }) => {
            Ok(HttpResponse::Ok().json(CancelResponse { status: "cancelled", recipients, refunded }))
        }
        Cancel::OnItsWay => Err(ApiError::NotCancellable),
        Cancel::NotFound => Err(ApiError::NotFound),
    }
}
