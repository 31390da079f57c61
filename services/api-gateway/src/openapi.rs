//! The OpenAPI document, made from the handlers, and the Swagger UI that shows it.

use utoipa::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::routes::{balance, history, send, top_up};

/// Where the document is served.
pub(crate) const DOCUMENT_PATH: &str = "/openapi.json";

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

/// Serves the document and `/swagger/index.html`; the page's files are compiled in.
pub(crate) fn swagger() -> SwaggerUi {
    SwaggerUi::new("/swagger/{_:.*}").url(DOCUMENT_PATH, Document::openapi())
}
