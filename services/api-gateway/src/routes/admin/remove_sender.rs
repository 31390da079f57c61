//! `DELETE /admin/senders`

use actix_web::{
    FromRequest as _, HttpRequest, HttpResponse,
    dev::Payload,
    http::header,
    web::{self, Data},
};
use domain::{Scope, Sender};

use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    state::State,
};

/// Takes a customer's sender back. To do it again changes nothing.
#[utoipa::path(
    delete, path = "/admin/senders", tag = "admin", operation_id = "removeSender",
    params(
        ("customer_id" = i64, Query, description = "Whose it is. Both may also be members of a JSON body, as they are in \
            `POST /admin/senders`"),
        ("sender" = String, Query, description = "What it may not send from any more"),
    ),
    responses(
        (status = 204, description = "It is not registered."),
        (status = 400, body = ErrorBody, description = "invalid_input"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (customer, sender) = named(&request, payload.into_inner()).await?;
    let customer = caller.permit(Scope::Admin)?.customer("customer_id", customer)?;
    let missing = || ApiError::InvalidInput("sender is missing".into());
    let sender = Sender::parse_as("sender", sender.ok_or_else(missing)?)?;
    state.database.remove_sender(customer, &sender).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// In a body where one is said to come, otherwise in the query: bodies of DELETE do not get through everywhere.
async fn named(request: &HttpRequest, mut payload: Payload) -> Result<(Option<i64>, Option<String>), ApiError> {
    if request.headers().contains_key(header::CONTENT_TYPE) {
        let body = JsonObject::from_request(request, &mut payload).await?;
        Ok((body.optional_integer("customer_id")?, body.optional_string("sender")?))
    } else {
        let query = Query::extract(request).await?;
        Ok((query.integer("customer_id")?, query.optional("sender").map(str::to_owned)))
    }
}
