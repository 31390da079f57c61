//! `POST /callbacks/endpoints`

use actix_web::{HttpResponse, web::Data};
use domain::{CallbackTypes, EndpointId};
use persistence::{EndpointCreated, MAX_ENDPOINTS, NewEndpoint};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{description, items::EndpointWithSecret, of_body, per_second, types};
use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    query::Query,
    schemas,
    state::State,
};

/// An endpoint to make.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct CreateEndpointRequest {
    #[schema(schema_with = schemas::callback_customer)]
    customer_id: i64,
    #[schema(schema_with = schemas::callback_url)]
    url: String,
    #[schema(schema_with = schemas::callback_description)]
    description: Option<String>,
    #[schema(schema_with = schemas::callback_types)]
    events: Option<Vec<String>>,
    #[schema(schema_with = schemas::per_second)]
    per_second: Option<u32>,
}

/// Makes an endpoint, which is told of what happens from now on; where it is its customer's first, within ten seconds.
#[utoipa::path(
    post, path = "/callbacks/endpoints", tag = "callbacks", operation_id = "createEndpoint",
    params(
        ("customer_id" = Option<i64>, Query, description = "Whose it is; where the body says too, they must agree"),
    ),
    request_body(content = CreateEndpointRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not \
        compressed. Each field once; other fields are ignored."),
    responses(
        (status = 201, body = EndpointWithSecret, description = "Made.", example = json!({
            "id": "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20", "customer_id": 1, "url": "https://example.com/callbacks",
            "description": "orders", "events": ["message.delivered", "message.failed"], "enabled": true,
            "disabled_reason": null, "failing_since": null, "paused_until": null, "per_second": null,
            "previous_secret_until": null, "created_at": "2026-11-22T19:43:36.128Z",
            "secret": "whsec_..."})),
        (status = 400, body = ErrorBody, description = "invalid_input; also when the URL leads to an address that is not \
            public, or the customer has 10 endpoints"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable; also while this platform has no key to make secrets from"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    query: Query,
    body: JsonObject,
) -> Result<HttpResponse, ApiError> {
    let customer = of_body(caller, &body, &query)?;
    let (types, description, per_second) = (types(&body)?, description(&body)?, per_second(&body)?);
    let url = state.callbacks.url(&body.string("url")?).await?;
    state.callbacks.keys()?;
    let id = EndpointId::from_uuid(Uuid::now_v7());
    let types = types.unwrap_or_else(CallbackTypes::all);
    let new = NewEndpoint { id, customer, url, description, types, per_second };
    match state.database.create_endpoint(&new).await? {
        EndpointCreated::Created(endpoint) => {
            tracing::info!(endpoint = endpoint.id, "an endpoint was made");
            let secret = state.callbacks.secret(&endpoint)?;
            Ok(HttpResponse::Created().json(EndpointWithSecret { endpoint: endpoint.into(), secret }))
        }
        EndpointCreated::TooMany => {
            Err(ApiError::InvalidInput(format!("customer_id has {MAX_ENDPOINTS} endpoints; remove one first")))
        }
    }
}
