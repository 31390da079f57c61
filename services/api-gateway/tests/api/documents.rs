//! `/openapi.json`, the Swagger UI and the Postman collection.

use std::{fs, path::PathBuf};

use api_gateway::endpoints;
use regex::Regex;
use serde_json::{Value, json};

use crate::{
    receipts::TOKEN as RECEIPT_TOKEN,
    support::{
        Fixture, Request,
        collection::{Variables, collected},
        routes::{all, described, path_of, target},
    },
};

pub(crate) async fn the_document_describes_every_route(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    let mut told: Vec<(String, &str)> = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        told.extend(
            operations.as_object().expect("operations").keys().map(|method| (method.to_uppercase(), path.as_str())),
        );
    }
    told.sort_unstable();
    assert_eq!(told, described().into_iter().map(|(method, path)| (method.to_owned(), path)).collect::<Vec<_>>());
    for endpoint in endpoints() {
        let (method, path) = (endpoint.method(), endpoint.path());
        let operation = &document["paths"][path][method.to_lowercase()];
        let responses = operation["responses"].as_object().expect("responses");
        assert_eq!(responses.keys().filter(|status| status.starts_with('2')).count(), 1, "{path}");
        for (status, response) in responses {
            let schema = &response["content"]["application/json"]["schema"];
            let is_of_error = schema["$ref"] == json!("#/components/schemas/ErrorBody");
            assert_eq!(!status.starts_with('2'), is_of_error, "{path} {status}");
            assert!(schema.is_object() || status == "204", "{path} {status}");
        }
        match endpoint.scope() {
            Some(scope) => assert_eq!(operation["security"][0]["api_key"], json!([scope.as_str()]), "{path}"),
            None => assert!(operation["security"][0]["receipt_signature"].is_array(), "{path}"),
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let takes_key = parameters.into_iter().any(|parameter| parameter["name"] == "Idempotency-Key");
        let of_bodies = if endpoint.takes_body() { &["413", "415"][..] } else { &[] };
        let of_keys = if takes_key { &["409", "422"][..] } else { &[] };
        // Of a path that names one thing nothing else can be wrong.
        let of_input = if path.contains('{') && !endpoint.takes_body() { &[][..] } else { &["400"][..] };
        let of_scopes = if endpoint.scope().is_some() { &["403"][..] } else { &[] };
        for status in [of_input, &["401", "429", "500", "503"], of_scopes, of_bodies, of_keys].concat() {
            assert!(operation["responses"][status].is_object(), "{path} does not tell of {status}");
        }
        // What is described is there. What a parameter names may not be.
        let answer = api.call(Request::new(method, target(path))).await;
        assert!(answer.status != 405 && (answer.status != 404 || path.contains('{')), "{path}: {}", answer.status);
    }
    let send = &document["paths"]["/messages/send"]["post"]["responses"];
    assert!(send["402"].is_object() && send["429"].is_object());
    assert_references_resolve(&document, &document);
}

/// Requests with a body may name it there instead.
pub(crate) async fn every_route_of_callbacks_tells_of_its_customer(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    for endpoint in endpoints().iter().filter(|endpoint| endpoint.path().starts_with("/callbacks/")) {
        let place = format!("{} {}", endpoint.method(), endpoint.path());
        let operation = &document["paths"][endpoint.path()][endpoint.method().to_lowercase()];
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        let customer = parameters.find(|parameter| parameter["name"] == "customer_id");
        let customer = customer.unwrap_or_else(|| panic!("{place} names no customer"));
        assert_eq!(
            (&customer["in"], &customer["required"]),
            (&json!("query"), &json!(!endpoint.takes_body())),
            "{place}"
        );
    }
}

pub(crate) async fn every_answer_of_the_document_has_an_example(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    for (method, path) in described() {
        for (status, response) in
            document["paths"][path][method.to_lowercase()]["responses"].as_object().expect("responses")
        {
            if status == "204" {
                continue;
            }
            let content = response["content"].as_object().expect("content").values().next().expect("one content type");
            let place = format!("{method} {path} {status}");
            let examples = content["examples"].as_object();
            assert!(!content["example"].is_null() || examples.is_some(), "{place} has no example");
            for (code, example) in examples.into_iter().flatten() {
                assert_eq!(example["value"]["error"], json!(code), "{place}");
                assert!(example["value"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
                let told = response["description"].as_str().expect("a description");
                assert!(told.contains(code.as_str()), "{place} gives an example of {code}, which it does not name");
            }
        }
    }
    let too_many = &document["paths"]["/messages/send"]["post"]["responses"]["429"]["headers"];
    for header in ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy"] {
        assert!(too_many[header].is_object(), "429 does not tell of {header}");
    }
}

pub(crate) async fn the_postman_collection_asks_for_what_is_there(f: &Fixture) {
    let api = f.gateway(&[("RECEIPT_SECRETS", &format!("operatorA={RECEIPT_TOKEN}"))]).await;
    api.fund(1, 1_000).await;
    let (mut asked, mut known) = (Vec::new(), Variables::with("receipt_token", RECEIPT_TOKEN));
    for collected in collected() {
        let request = collected.request(&known);
        let answer = api.call(request.clone()).await;
        let expected = format!("to.have.status({})", answer.status);
        assert!(collected.script.contains(&expected), "{} was answered with {}", collected.name, answer.status);
        collected.learn(&answer, &mut known);
        asked.push(request);
    }
    for (method, path) in described() {
        let is_asked = |request: &Request| request.method == method && path_of(request.path()) == Some(path);
        assert!(asked.iter().any(is_asked), "the collection has no request for {method} {path}");
    }
}

/// What README and guides say of routes: `GET /x`, addresses of the gateway, and labels of its metrics.
#[test]
fn the_guides_name_routes_that_are_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guides = fs::read_dir(root.join("docs")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)).into_iter().chain(guides);
    let paths = |pattern: &str| Regex::new(&format!("{pattern}(/[a-z0-9_/.{{}}*-]*)")).expect("a pattern");
    let with_method = paths("\\b(GET|HEAD|POST|PUT|PATCH|DELETE) ");
    let without = [paths("localhost:8080()"), paths("path=\"()")];
    let mut named = 0;
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&file).expect("text");
        for found in with_method.captures_iter(&text).chain(without.iter().flat_map(|form| form.captures_iter(&text))) {
            let [method, target] = [1, 2].map(|group| found.get(group).map_or("", |found| found.as_str()));
            let answers = |known: &str| method.is_empty() || method == known || method == "HEAD" && known == "GET";
            let is_there = |(known, path): (&str, _)| answers(known) && path_of(target) == Some(path);
            assert!(all().into_iter().any(is_there), "{}: {method} {target}", file.display());
            named += 1;
        }
    }
    assert!(named > 20, "only {named} were found");
}

/// Every `$ref` of the document leads somewhere in it.
fn assert_references_resolve(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix('#').expect("a reference into the document");
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|part| assert_references_resolve(document, part));
        }
        Value::Array(items) => items.iter().for_each(|part| assert_references_resolve(document, part)),
        _ => {}
    }
}

pub(crate) async fn the_page_shows_the_document(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let page = api.get("/swagger/index.html").await;
    assert_eq!(page.status, 200);
    assert!(page.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")), "{:?}", page.headers);
    assert!(page.text().contains("<html") && page.text().contains("swagger-ui"));
    let script = api.get("/swagger/swagger-initializer.js").await;
    assert_eq!(script.status, 200);
    assert!(script.text().contains("/openapi.json"), "{}", script.text());
    for asset in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
        let answer = api.get(format!("/swagger/{asset}")).await;
        assert!(answer.status == 200 && !answer.body.is_empty(), "{asset}");
    }
}
