//! The names and links of `/openapi.json`: a tool that reads it can follow what it got from one answer to the next.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    bounds::resolve,
    support::{Fixture, Request, list, message},
};

const LINKS: [(&str, &str); 5] = [
    ("addBalance", "getBalance"),
    ("addBalance", "sendMessage"),
    ("getBalance", "listMessages"),
    ("sendMessage", "getBalance"),
    ("sendMessage", "listMessages"),
];

/// Operations by their names.
fn operations(document: &Value) -> BTreeMap<&str, &Value> {
    let mut operations = BTreeMap::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let name = operation["operationId"].as_str().expect("every operation has a name");
            assert!(operations.insert(name, operation).is_none(), "{name} is there twice");
        }
    }
    operations
}

/// The links of an operation's 200.
fn links(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["responses"]["200"]["links"].as_object().into_iter().flat_map(|links| links.values())
}

pub(crate) async fn every_link_leads_from_what_is_there_to_what_is_asked_for(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    let operations = operations(&document);
    let mut found = Vec::new();
    for (name, operation) in &operations {
        for link in links(operation) {
            let target = link["operationId"].as_str().expect("the name of an operation");
            let linked =
                operations.get(target).unwrap_or_else(|| panic!("{name} leads to {target}, which is not there"));
            for (parameter, expression) in link["parameters"].as_object().into_iter().flatten() {
                let takes = |known: &Value| known["name"] == json!(parameter);
                assert!(
                    linked["parameters"].as_array().is_some_and(|all| all.iter().any(takes)),
                    "{target}: {parameter}"
                );
                assert_found(&document, operation, expression.as_str().expect("an expression"));
            }
            for value in link["requestBody"].as_object().into_iter().flat_map(|body| body.values()) {
                if let Some(expression) = value.as_str().filter(|value| value.starts_with('$')) {
                    assert_found(&document, operation, expression);
                }
            }
            found.push((*name, target));
        }
    }
    found.sort_unstable();
    assert_eq!(found, LINKS);
}

/// What the expression names is a part of the operation's request or answer.
#[track_caller]
fn assert_found(document: &Value, operation: &Value, expression: &str) {
    let schema_of = |content: &Value| resolve(document, &content["application/json"]["schema"]).clone();
    let known = if let Some(field) = expression.strip_prefix("$response.body#/") {
        !schema_of(&operation["responses"]["200"]["content"])["properties"][field].is_null()
    } else if let Some(field) = expression.strip_prefix("$request.body#/") {
        !schema_of(&operation["requestBody"]["content"])["properties"][field].is_null()
    } else if let Some(name) = expression.strip_prefix("$request.query.") {
        operation["parameters"].as_array().is_some_and(|all| all.iter().any(|known| known["name"] == json!(name)))
    } else {
        false
    };
    assert!(known, "{expression} names nothing");
}

pub(crate) async fn following_the_links_leads_from_a_top_up_to_the_history(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    let operations = operations(&document);
    let added = api.top_up(&json!({"user_id": 7, "balance": 10})).await.ok();
    let to_send = links(operations["addBalance"]).find(|link| link["operationId"] == "sendMessage").expect("a link");
    let mut body = to_send["requestBody"].clone();
    body["customer_id"] = added["user_id"].clone();
    let identifier = api.send(&body).await.accepted();
    let to_history =
        links(operations["sendMessage"]).find(|link| link["operationId"] == "listMessages").expect("a link");
    let names: Vec<_> = to_history["parameters"].as_object().expect("parameters").keys().collect();
    assert_eq!(names, ["message_identifier", "user_id"]);
    let history = api.history(&format!("user_id=7&message_identifier={identifier}")).await;
    assert_eq!(list(&history, "history").len(), 1);
    api.call(Request::post("/messages/send", &message(7, &["111"]))).await.accepted();
    assert_eq!(api.balance(7).await, 8);
}
