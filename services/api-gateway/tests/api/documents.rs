//! `/openapi.json` and the Swagger UI.

use serde_json::{Value, json};

use crate::support::{Fixture, Request};

const ROUTES: [(&str, &str); 4] =
    [("get", "/balance"), ("get", "/messages/history"), ("post", "/balance/add"), ("post", "/messages/send")];

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
    assert_eq!(described, ROUTES);
    for (method, path) in ROUTES {
        let operation = &document["paths"][path][method];
        assert!(operation["responses"]["200"]["content"]["application/json"]["schema"].is_object(), "{path}");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(status != "200", schema == &json!("#/components/schemas/ErrorBody"), "{path} {status}");
        }
        for status in if method == "post" { &["400", "409", "413", "415", "422", "503"][..] } else { &["400", "503"] } {
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
