//! The OpenAPI document, made from the handlers, and the Swagger UI that shows it.

use std::{
    borrow::Cow,
    future::ready,
    sync::{Arc, LazyLock},
};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError as _,
    http::header::{CONTENT_TYPE, ContentType},
    web::{Bytes, ServiceConfig},
};
use domain::Scope;
use serde_json::json;
use service_kit::admin::{GET_AND_HEAD, get_or_head};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, Content, ContentBuilder, Header, OpenApi as Document, Ref, RefOr, Response,
        example::{Example, ExampleBuilder},
        header::HeaderBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

use crate::{endpoint::only, error::ApiError, routes::endpoints, schemas};

/// Where the document is served.
const DOCUMENT_PATH: &str = "/openapi.json";
/// What the document calls API keys.
const KEY: &str = "api_key";
/// What it calls the ways of operators to show who they are.
const RECEIPT_SIGNATURE: &str = "receipt_signature";
const RECEIPT_TOKEN: &str = "receipt_token";
/// Where the Swagger UI is served.
const PAGE_PATH: &str = "/swagger/{file:.*}";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Distributed messaging platform",
        description = "Send text messages to phones from a prepaid balance. Whole numbers may be written as 1, 1.0 or \
            1e0. A query parameter may be given once; an empty one counts as left out. Every path that answers GET \
            answers HEAD too, without the body.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(healthz, readyz, metrics),
    modifiers(&Endpoints, &Parameters, &Errors, &Security),
    tags(
        (name = "messages", description = "Send, and see what became of it"),
        (name = "balance", description = "Prepaid credits"),
        (name = "callbacks", description = "Where a customer is told what becomes of its messages"),
        (name = "operators", description = "For the operators that deliver the messages"),
        (name = "admin", description = "Keys, and what customers may send from; never without a key of scope admin"),
        (name = "watch", description = "For those who run it; never rate-limited")
    )
)]
struct Described;

/// Whether the process runs.
#[utoipa::path(
    get, path = "/healthz", tag = "watch",
    responses((status = 200, body = Object, description = "It runs.", example = json!({"status": "ok"})))
)]
#[expect(dead_code, reason = "it only describes the route, which all services share")]
fn healthz() {}

/// Whether requests can be served.
#[utoipa::path(
    get, path = "/readyz", tag = "watch",
    responses(
        (status = 200, body = Object, description = "The database answers; it may be `read_only`. RabbitMQ may be `unavailable` or `blocked`: the outbox bridges it.",
            example = json!({"status": "ready", "dependencies": {"mysql": "ok", "rabbitmq": "ok"}})),
        (status = 503, body = Object, description = "What is needed is `unavailable`, or the schema is not one that this release works on (`schema_missing`, `schema_too_new`).",
            example = json!({"status": "not_ready", "dependencies": {"mysql": "unavailable", "rabbitmq": "ok"}})),
    )
)]
#[expect(dead_code, reason = "it only describes the route, which all services share")]
fn readyz() {}

/// Metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "watch",
    responses((status = 200, body = String, content_type = "text/plain", description = "Prometheus text format.",
        example = json!("# HELP http_requests_total HTTP requests answered\n")))
)]
#[expect(dead_code, reason = "it only describes the route, which all services share")]
fn metrics() {}

/// Adds what the API's endpoints say of themselves.
struct Endpoints;

impl Modify for Endpoints {
    fn modify(&self, document: &mut Document) {
        for endpoint in endpoints() {
            document.merge(endpoint.document());
        }
    }
}

/// The operations of all paths, whatever their method is.
fn operations(document: &mut Document) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items.flat_map(|item| [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]).flatten()
}

/// Gives the handlers' parameters their bounds.
struct Parameters;

impl Modify for Parameters {
    fn modify(&self, document: &mut Document) {
        for parameter in operations(document).filter_map(|operation| operation.parameters.as_mut()).flatten() {
            if let RefOr::T(parameter) = parameter {
                parameter.schema = schemas::parameter(&parameter.name).or_else(|| parameter.schema.take());
            }
        }
    }
}

/// Says which scope each endpoint needs.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("mpk_... or mpa_...");
        let told = "An API key, as `POST /admin/keys` makes one. What a route needs of it is named with the route.";
        let scheme = SecurityScheme::Http(bearer.description(Some(told)).build());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(KEY, scheme);
        add_operators(components);
        for endpoint in endpoints() {
            let item = document.paths.paths.get_mut(endpoint.path()).expect("it was merged");
            let operation = match endpoint.method() {
                "GET" => &mut item.get,
                "DELETE" => &mut item.delete,
                "PATCH" => &mut item.patch,
                _ => &mut item.post,
            };
            let operation = operation.as_mut().expect("it was merged");
            let Some(scope) = endpoint.scope() else {
                operation.security = Some([RECEIPT_SIGNATURE, RECEIPT_TOKEN].map(needs_no_more).to_vec());
                continue;
            };
            operation.security = Some(vec![SecurityRequirement::new(KEY, [scope.as_str()])]);
            let told = operation.description.take().map_or_else(String::new, |told| format!("{told}\n\n"));
            operation.description = Some(format!("{told}With an API key: its scope must hold `{scope}`."));
        }
    }
}

/// How operators show who they are.
fn add_operators(components: &mut Components) {
    let signature = ApiKeyValue::with_description(
        "webhook-signature",
        "Standard Webhooks, with the operator's `whsec_` secret; `webhook-id` and `webhook-timestamp` belong to it.",
    );
    components.add_security_scheme(RECEIPT_SIGNATURE, SecurityScheme::ApiKey(ApiKey::Header(signature)));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("mpr_...");
    let token = bearer.description(Some("The operator's token, where it cannot sign.")).build();
    components.add_security_scheme(RECEIPT_TOKEN, SecurityScheme::Http(token));
}

fn needs_no_more(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, std::iter::empty::<&str>())
}

/// Lets all be asked for without a key but what never is: the gateway is open.
fn open_up(document: &mut Document) {
    let scopes = [Scope::Send, Scope::Read, Scope::Topup];
    let is_open = |operation: &&mut Operation| {
        let needed = operation.security.iter().flatten();
        scopes
            .iter()
            .any(|scope| needed.clone().any(|needed| *needed == SecurityRequirement::new(KEY, [scope.as_str()])))
    };
    for operation in operations(document).filter(is_open) {
        operation.security.get_or_insert_default().push(SecurityRequirement::default());
    }
}

/// Completes what the handlers say of their errors: those that every route of the API gives, and an example with its
/// headers for each code that a response names.
struct Errors;

impl Modify for Errors {
    fn modify(&self, document: &mut Document) {
        for operation in
            operations(document).filter(|operation| operation.tags.as_ref().is_some_and(|tags| tags != &["watch"]))
        {
            let responses = &mut operation.responses.responses;
            // Operators have no keys that could lack a scope.
            let by_operators = operation.tags.as_ref().is_some_and(|tags| tags == &["operators"]);
            let codes = ["unauthorized", "forbidden", "rate_limit_exceeded", "internal_error"];
            for code in codes.into_iter().filter(|code| !(by_operators && *code == "forbidden")) {
                let error = ApiError::one_of_each().into_iter().find(|error| error.code() == code);
                let status = error.expect("both are codes").status_code().as_str().to_owned();
                responses.entry(status).or_insert_with(|| RefOr::T(Response::new(code)));
            }
            for (status, response) in responses {
                if let RefOr::T(response) = response {
                    give_examples(status, response);
                }
            }
        }
    }
}

fn give_examples(status: &str, response: &mut Response) {
    let told: Vec<_> = ApiError::one_of_each()
        .into_iter()
        .filter(|error| error.status_code().as_str() == status && response.description.contains(error.code()))
        .collect();
    if told.is_empty() {
        return;
    }
    let examples = told.iter().map(|error| (error.code().to_owned(), example(error)));
    let schema = Ref::from_schema_name("ErrorBody");
    let content: Content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    response.content.insert("application/json".to_owned(), RefOr::T(content));
    for error in &told {
        for (name, value) in error.error_response().headers().iter().filter(|(name, _)| **name != CONTENT_TYPE) {
            let example = value.to_str().unwrap_or_default();
            let header: Header = HeaderBuilder::new().description(Some(format!("such as {example}"))).build();
            response.headers.insert(name.as_str().to_owned(), RefOr::T(header));
        }
    }
}

fn example(error: &ApiError) -> Example {
    ExampleBuilder::new().value(Some(json!({ "error": error.code(), "message": error.to_string() }))).build()
}

/// Mounts the document and the page.
pub(crate) fn mount(auth_required: bool) -> impl FnOnce(&mut ServiceConfig) {
    let read = |path| only(path, GET_AND_HEAD.to_owned());
    move |config| {
        let document = move || document(auth_required);
        config
            .service(read(DOCUMENT_PATH).route(get_or_head().to(move || ready(document()))))
            .service(read(PAGE_PATH).route(get_or_head().to(page)));
    }
}

/// `GET /openapi.json`; made once, for every answer of a gateway is the same.
fn document(auth_required: bool) -> HttpResponse {
    static CLOSED: LazyLock<Bytes> = LazyLock::new(|| bytes(&Described::openapi()));
    static OPEN: LazyLock<Bytes> = LazyLock::new(|| {
        let mut document = Described::openapi();
        open_up(&mut document);
        bytes(&document)
    });
    let document = if auth_required { &CLOSED } else { &OPEN };
    HttpResponse::Ok().content_type(ContentType::json()).body(Bytes::clone(document))
}

fn bytes(document: &Document) -> Bytes {
    serde_json::to_vec(document).expect("the document is plain data").into()
}

/// `GET /swagger/index.html` and the files beside it, which are compiled in. The crate's own service would answer
/// what it does not have without a body.
async fn page(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let file = request.match_info().get("file").unwrap_or_default();
    match utoipa_swagger_ui::serve(file, Arc::new(Config::new([DOCUMENT_PATH]))) {
        Ok(Some(file)) => {
            let bytes = match file.bytes {
                // A megabyte and a half that no client needs a copy of.
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => bytes.into(),
            };
            Ok(HttpResponse::Ok().content_type(file.content_type).body(bytes))
        }
        Ok(None) => Err(ApiError::NotFound),
        Err(error) => {
            tracing::error!(%error, "a file of the Swagger UI cannot be made");
            Err(ApiError::Internal)
        }
    }
}
