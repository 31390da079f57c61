//! `POST /admin/keys`

use std::num::NonZeroU32;

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use domain::{Grant, Invalid, KeyName, Owner, Scope, Scopes, grant::MAX_REQUESTS_PER_SECOND, rfc3339};
use persistence::{Issued, NewKey};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{items::NewKeyResponse, new_key, too_many_keys};
use crate::{
    body::JsonObject,
    caller::{Caller, Permitted},
    error::{ApiError, ErrorBody},
    schemas,
    state::State,
};

/// A key to make.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct CreateKeyRequest {
    #[schema(schema_with = schemas::key_name)]
    name: String,
    #[schema(schema_with = schemas::key_customer)]
    customer_id: Option<i64>,
    #[schema(schema_with = schemas::scopes)]
    scopes: Vec<String>,
    #[schema(schema_with = schemas::requests_per_second)]
    requests_per_second: Option<u32>,
    #[schema(schema_with = schemas::expires_at)]
    expires_at: Option<String>,
}

/// Makes a key. It is in this answer and nowhere else: if the answer is lost, make another and revoke the lost one.
#[utoipa::path(
    post, path = "/admin/keys", tag = "admin", operation_id = "createKey",
    request_body(content = CreateKeyRequest, description = "Without `customer_id` it is a key of the platform, which names \
        the customer in each request. JSON in UTF-8, at most 262144 bytes (256 KiB), not compressed. Each field once; \
        other fields are ignored."),
    responses(
        (status = 201, body = NewKeyResponse, description = "Made; it is good from now on.", example = json!({
            "id": "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20", "key": "mpk_...", "hint": "gylC", "name": "shop",
            "customer_id": 1, "scopes": ["send", "read"], "requests_per_second": 50,
            "created_at": "2026-11-22T19:43:36.128Z", "expires_at": null})),
        (status = 400, body = ErrorBody, description = "invalid_input; also when the customer has 20 keys that are good"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "unsupported_media_type"),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, body: JsonObject) -> Result<HttpResponse, ApiError> {
    let permitted = caller.permit(Scope::Admin)?;
    let wanted = Wanted::read(&body, permitted)?;
    let key = new_key(wanted.grant.owner().key_kind());
    let new = NewKey {
        requests_per_second: wanted.requests_per_second,
        expires_at: wanted.expires_at,
        ..NewKey::new(Uuid::now_v7(), &key, wanted.grant, wanted.name)
    };
    match state.database.issue_key(&new).await? {
        Issued::Stored(stored) => {
            tracing::info!(made = stored.id, "an API key was made");
            Ok(HttpResponse::Created().json(NewKeyResponse::of(&key, stored)))
        }
        Issued::TooMany => Err(too_many_keys()),
    }
}

struct Wanted {
    grant: Grant,
    name: KeyName,
    requests_per_second: Option<NonZeroU32>,
    expires_at: Option<DateTime<Utc>>,
}

impl Wanted {
    fn read(body: &JsonObject, permitted: Permitted) -> Result<Self, ApiError> {
        let name = KeyName::parse(body.string("name")?)?;
        let customer = permitted.about("customer_id", body.optional_integer("customer_id")?)?;
        let scopes = body.strings("scopes")?;
        let grant = Grant::new(Owner::of(customer), Scopes::parse(scopes.iter().map(String::as_str))?)?;
        Ok(Self { grant, name, requests_per_second: limit(body)?, expires_at: expiry(body)? })
    }
}

fn limit(body: &JsonObject) -> Result<Option<NonZeroU32>, ApiError> {
    let Some(limit) = body.optional_integer("requests_per_second")? else { return Ok(None) };
    let fits = u32::try_from(limit).ok().filter(|limit| *limit <= MAX_REQUESTS_PER_SECOND).and_then(NonZeroU32::new);
    let expected = format!("must be a whole number from 1 to {MAX_REQUESTS_PER_SECOND}");
    fits.map(Some).ok_or_else(|| Invalid::new("requests_per_second", expected).into())
}

#[expect(clippy::disallowed_methods, reason = "only to tell of a mistake: the database's clock ends the key")]
fn expiry(body: &JsonObject) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = body.optional_string("expires_at")? else { return Ok(None) };
    let wrong = |expected: &str| Invalid::new("expires_at", expected);
    let time = rfc3339::parse(&text).ok_or_else(|| wrong("must be RFC 3339 with an offset"))?;
    // As late as the column can hold.
    let is_ahead = time > Utc::now() && time.timestamp() < 253_402_300_800;
    if is_ahead { Ok(Some(time)) } else { Err(wrong("must lie in the future").into()) }
}
