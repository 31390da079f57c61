//! `PATCH /callbacks/endpoints/{id}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use persistence::EndpointChange;
use utoipa::ToSchema;

use super::{description, endpoint_id, items::EndpointItem, of_body, per_second, types};
use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    schemas,
    state::State,
};

/// What to change of an endpoint.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct ChangeEndpointRequest {
    #[schema(schema_with = schemas::callback_customer)]
    customer_id: i64,
    #[schema(schema_with = schemas::optional_callback_url)]
    url: Option<String>,
    #[schema(schema_with = schemas::callback_description)]
    description: Option<String>,
    #[schema(schema_with = schemas::callback_types)]
    events: Option<Vec<String>>,
    #[schema(schema_with = schemas::enabled)]
    enabled: Option<bool>,
    #[schema(schema_with = schemas::per_second)]
    per_second: Option<u32>,
}

/// Changes what is named and leaves the rest as it is; `description` and `per_second` are taken away by null. To enable an endpoint sends it what has waited, for at most seven days.
#[utoipa::path(
    patch, path = "/callbacks/endpoints/{id}", tag = "callbacks", operation_id = "changeEndpoint",
    params(
        ("id" = String, Path, description = "The endpoint's id"),
        ("customer_id" = Option<i64>, Query, description = "Whose it is; where the body says too, they must agree"),
    ),
    request_body(content = ChangeEndpointRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not \
        compressed. Each field once; other fields are ignored."),
    responses(
        (status = 200, body = EndpointItem, description = "The endpoint as it is now.", example = json!({
            "id": "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20", "customer_id": 1, "url": "https://example.com/callbacks",
            "description": "orders", "events": ["message.delivered", "message.failed"], "enabled": true,
            "disabled_reason": null, "failing_since": null, "paused_until": null, "per_second": null,
            "previous_secret_until": null, "created_at": "2026-11-22T19:43:36.128Z"})),
        (status = 400, body = ErrorBody, description = "invalid_input; also when the URL leads to an address that is not public"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such endpoint, or it is another customer's."),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: Query,
    body: JsonObject,
) -> Result<HttpResponse, ApiError> {
    let customer = of_body(caller, &body, &query)?;
    let types = types(&body)?;
    let description = description(&body)?;
    let per_second = per_second(&body)?;
    let enabled = body.optional_boolean("enabled")?;
    let url = body.optional_string("url")?;
    let url = match url {
        Some(url) => Some(state.callbacks.url(&url).await?),
        None => None,
    };
    let id = endpoint_id(&id)?;
    let change = EndpointChange {
        url,
        description: body.is_named("description").then_some(description),
        types,
        enabled,
        per_second: body.is_named("per_second").then_some(per_second),
    };
    let endpoint = state.database.change_endpoint(customer, &id, &change).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(EndpointItem::from(endpoint)))
}
