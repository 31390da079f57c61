//! `POST /admin/keys/{id}/rotate`

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use domain::{Invalid, Scope, grant::MAX_OVERLAP};
use persistence::{RotatedFrom, Rotation};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{items::NewKeyResponse, key_id, new_key, too_many_keys};
use crate::{
    body::JsonObject,
    caller::Caller,
    error::{ApiError, ErrorBody},
    schemas,
    state::State,
};

/// How a key is to be replaced.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct RotateKeyRequest {
    #[schema(schema_with = schemas::overlap_seconds)]
    overlap_seconds: u64,
}

/// Makes a key in place of another, with all that it allows. The old one goes on for a while, unless it ends before.
#[utoipa::path(
    post, path = "/admin/keys/{id}/rotate", tag = "admin", operation_id = "rotateKey",
    params(("id" = String, Path, description = "The key's id")),
    request_body(content = RotateKeyRequest, description = "JSON in UTF-8, at most 262144 bytes (256 KiB), not \
        compressed. Each field once; other fields are ignored."),
    responses(
        (status = 201, body = NewKeyResponse, description = "The new key.", example = json!({
            "id": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d21", "key": "mpk_...", "hint": "x0Qa", "name": "shop",
            "customer_id": 1, "scopes": ["send", "read"], "requests_per_second": 50,
            "created_at": "2026-11-22T19:43:36.128Z", "expires_at": null})),
        (status = 400, body = ErrorBody, description = "invalid_input; also when the key is over, or the customer has 20 \
            keys that are good"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such key."),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    body: JsonObject,
) -> Result<HttpResponse, ApiError> {
    caller.permit(Scope::Admin)?;
    let overlap = overlap(&body)?;
    let id = key_id(&id)?;
    let rotation = state.database.rotate_key(id, Uuid::now_v7(), overlap, new_key).await?;
    match rotation {
        Rotation::Rotated(RotatedFrom { key, stored }) => {
            tracing::info!(made = stored.id, replaces = %id, overlap_seconds = overlap.as_secs(), "an API key was replaced");
            Ok(HttpResponse::Created().json(NewKeyResponse::of(&key, stored)))
        }
        Rotation::NotFound => Err(ApiError::NotFound),
        Rotation::Over => Err(ApiError::InvalidInput(
            "the key has expired or was revoked; make a new one with POST /admin/keys".into(),
        )),
        Rotation::TooMany => Err(too_many_keys()),
    }
}

fn overlap(body: &JsonObject) -> Result<Duration, ApiError> {
    let fits = u64::try_from(body.integer("overlap_seconds")?).ok().filter(|seconds| *seconds <= MAX_OVERLAP);
    let expected = format!("must be a whole number from 0 to {MAX_OVERLAP}");
    fits.map(Duration::from_secs).ok_or_else(|| Invalid::new("overlap_seconds", expected).into())
}
