//! `/openapi.json`, the Swagger UI and the Postman collection.

use serde_json::{Value, json};

use crate::support::{Fixture, Request};

const ROUTES: [(&str, &str); 4] =
    [("get", "/balance"), ("get", "/messages/history"), ("post", "/balance/add"), ("post", "/messages/send")];
/// Routes for those who run it.
const WATCHED: [(&str, &str); 3] = [("get", "/healthz"), ("get", "/metrics"), ("get", "/readyz")];

const COLLECTION: &str = include_str!("../../../../postman/collections/messaging-platform.postman_collection.json");

pub(crate) async fn the_document_describes_every_route(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    let mut described: Vec<(&str, &str)> = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        described
            .extend(operations.as_object().expect("operations").keys().map(|method| (method.as_str(), path.as_str())));
    }
    described.sort_unstable();
    let mut routes = [&ROUTES[..], &WATCHED[..]].concat();
    routes.sort_unstable();
    assert_eq!(described, routes);
    for (method, path) in ROUTES {
        let operation = &document["paths"][path][method];
        assert!(operation["responses"]["200"]["content"]["application/json"]["schema"].is_object(), "{path}");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(status != "200", schema == &json!("#/components/schemas/ErrorBody"), "{path} {status}");
        }
        let of_every_route = ["400", "429", "500", "503"];
        for status in
            if method == "post" { &["409", "413", "415", "422"][..] } else { &[] }.iter().chain(&of_every_route)
        {
            assert!(operation["responses"][*status].is_object(), "{path} does not tell of {status}");
        }
        // What is described is there.
        let answer = api.call(Request::new(&method.to_uppercase(), path)).await;
        assert!(![404, 405].contains(&answer.status), "{path}: {}", answer.status);
    }
    let send = &document["paths"]["/messages/send"]["post"]["responses"];
    assert!(send["402"].is_object() && send["429"].is_object());
    assert_references_resolve(&document, &document);
}

pub(crate) async fn every_answer_of_the_document_has_an_example(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    for (method, path) in [&ROUTES[..], &WATCHED[..]].concat() {
        for (status, response) in document["paths"][path][method]["responses"].as_object().expect("responses") {
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
    let api = f.gateway(&[]).await;
    api.fund(1, 1_000).await;
    let collection: Value = serde_json::from_str(COLLECTION).expect("JSON");
    let folders = collection["item"].as_array().expect("folders");
    let requests: Vec<_> = folders.iter().flat_map(|folder| folder["item"].as_array().expect("requests")).collect();
    let mut asked: Vec<String> = Vec::new();
    for item in requests {
        let (name, request) = (&item["name"], &item["request"]);
        let method = request["method"].as_str().expect("a method");
        let url = request["url"]["raw"].as_str().expect("a URL").strip_prefix("{{base_url}}").expect("the variable");
        let target = url.replace("{{message_identifier}}", "01a204c9-12bd-75be-b8d5-2986e23477a4");
        let call = match request["body"]["raw"].as_str() {
            Some(body) => Request::post(&target, &serde_json::from_str::<Value>(body).expect("a JSON body")),
            None => Request::new(method, &target),
        };
        let answer = api.call(call).await;
        let expected = format!("to.have.status({})", answer.status);
        let script = item["event"][0]["script"]["exec"].to_string();
        assert!(script.contains(&expected), "{name} was answered with {}", answer.status);
        asked.push(format!("{} {}", method.to_lowercase(), target.split('?').next().expect("a path")));
    }
    for (method, path) in [&ROUTES[..], &WATCHED[..]].concat() {
        assert!(asked.contains(&format!("{method} {path}")), "the collection has no request for {method} {path}");
    }
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
