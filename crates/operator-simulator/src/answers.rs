//! What routes of all kinds have in common.

use actix_web::{HttpResponse, http::StatusCode};
use serde::Deserialize;
use serde_json::json;

/// From where a journal is read.
#[derive(Deserialize)]
pub(crate) struct Page {
    #[serde(default)]
    pub(crate) after: u64,
}

/// An answer to what cannot be done.
pub(crate) fn refuse(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": "refused", "message": message }))
}
