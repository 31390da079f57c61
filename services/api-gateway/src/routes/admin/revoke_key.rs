//! `DELETE /admin/keys/{id}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use domain::Scope;

use super::key_id;
use crate::{
    caller::Caller,
    error::{ApiError, ErrorBody},
    state::State,
};

/// Ends a key for good; every gateway refuses it within ten seconds. To do it again changes nothing.
#[utoipa::path(
    delete, path = "/admin/keys/{id}", tag = "admin", operation_id = "revokeKey",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 204, description = "It is revoked."),
        (status = 404, body = ErrorBody, description = "not_found: there is no such key."),
        (status = 503, body = ErrorBody, description = "unavailable"),
    )
)]
pub(crate) async fn handler(state: Data<State>, caller: Caller, id: Path<String>) -> Result<HttpResponse, ApiError> {
    caller.permit(Scope::Admin)?;
    let id = key_id(&id)?;
    if state.database.revoke_key(id).await? {
        tracing::info!(revoked = %id, "an API key was revoked");
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ApiError::NotFound)
    }
}
