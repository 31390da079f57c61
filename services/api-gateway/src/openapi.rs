//! The OpenAPI document, made from the handlers, and the Swagger UI that shows it.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use utoipa::OpenApi;
use utoipa_swagger_ui::Config;

use crate::{
    error::ApiError,
    routes::{balance, history, send, top_up},
};

/// Where the document is served.
pub(crate) const DOCUMENT_PATH: &str = "/openapi.json";
/// Where the Swagger UI is served.
pub(crate) const PAGE_PATH: &str = "/swagger/{file:.*}";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Distributed messaging platform",
        description = "Send text messages to phones from a prepaid balance.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(send::handler, history::handler, balance::handler, top_up::handler),
    tags(
        (name = "messages", description = "Send, and see what became of it"),
        (name = "balance", description = "Prepaid credits")
    )
)]
struct Document;

/// `GET /openapi.json`
pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(Document::openapi())
}

/// `GET /swagger/index.html` and the files beside it, which are compiled in. The crate's own service would answer
/// what it does not have without a body.
pub(crate) async fn page(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let file = request.match_info().get("file").unwrap_or_default();
    match utoipa_swagger_ui::serve(file, Arc::new(Config::new([DOCUMENT_PATH]))) {
        Ok(Some(file)) => Ok(HttpResponse::Ok().content_type(file.content_type).body(file.bytes.into_owned())),
        Ok(None) => Err(ApiError::NotFound),
        Err(error) => {
            tracing::error!(%error, "a file of the Swagger UI cannot be made");
            Err(ApiError::Internal)
        }
    }
}
