//! What `/openapi.json` says of requests is what is enforced: values at and around every bound, and odd ones, are
//! accepted where the document allows them and refused where it does not.

use regex::Regex;
use serde_json::{Value, json};

use api_gateway::endpoints;

use crate::support::{Fixture, Gateway, Request, routes::target};

/// What a body needs besides the field that is tried; each route ignores the others'.
fn good() -> Value {
    json!({"customer_id": 1, "text": "hi", "recipients": ["111"], "user_id": 1, "balance": 1, "name": "shop",
        "scopes": ["send"], "sender": "BANK", "overlap_seconds": 0, "url": "https://93.184.216.34/",
        "events": ["message.done"], "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"})
}

pub(crate) async fn fields_are_taken_as_the_document_says(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 1_000_000).await;
    let document = api.get("/openapi.json").await.ok();
    let mut sql = f.sql().await;
    for endpoint in endpoints().iter().filter(|endpoint| endpoint.takes_body()) {
        let (route, target) = (endpoint.path(), &*target(endpoint.path()));
        let method = endpoint.method();
        let body = &document["paths"][route][method.to_lowercase()]["requestBody"];
        assert!(body["description"].as_str().is_some_and(|text| text.contains("262144 bytes")), "{route}: no limit");
        let schema = resolve(&document, &body["content"]["application/json"]["schema"]);
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (field, schema) in schema["properties"].as_object().expect("fields") {
            assert_bounded(&format!("{route} {field}"), schema);
            for value in candidates(schema) {
                let mut body = good();
                body[field] = value.clone();
                // A customer has a bounded number of keys and endpoints.
                sql.execute("DELETE FROM api_keys WHERE customer_id IS NOT NULL").await;
                sql.execute("DELETE FROM callback_endpoints").await;
                let answer = api.call(with_body(method, target, &body)).await;
                let place = format!("{route}: {field} = {}", short(&value));
                assert_eq!(answer.status != 400, conforms(schema, &value), "{place}: {}", answer.text());
            }
            let mut body = good();
            body.as_object_mut().expect("an object").remove(field);
            let answer = api.call(with_body(method, target, &body)).await;
            assert_eq!(answer.status == 400, required.contains(&json!(field)), "{route} without {field}");
        }
    }
}

pub(crate) async fn parameters_are_taken_as_the_document_says(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 1_000).await;
    let document = api.get("/openapi.json").await.ok();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert_bounded(&format!("{path} {}", parameter["name"]), &parameter["schema"]);
                assert_taken_as_told(&api, (method, path), operation, parameter).await;
            }
        }
    }
}

async fn assert_taken_as_told(api: &Gateway, (method, path): (&str, &str), operation: &Value, parameter: &Value) {
    let name = parameter["name"].as_str().expect("a name");
    let schema = &parameter["schema"];
    let in_header = parameter["in"] == "header";
    let mut body = good();
    if parameter["in"] == "query" {
        // It is said in one place.
        body.as_object_mut().expect("an object").remove(name);
    }
    for value in candidates(schema) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // An empty parameter counts as missing, a number may have a plus, and a header no white space around it.
        let is_special = if in_header {
            text.trim() != text || text.contains(char::is_control)
        } else {
            text.is_empty() || (text.starts_with('+') && schema["type"] == "integer")
        };
        if is_special {
            continue;
        }
        // A reference is looked for among a customer's messages.
        let user = if name == "client_reference" { "&user_id=1" } else { "" };
        let target = target_with(path, operation, name, &text) + user;
        let request = if operation["requestBody"].is_object() {
            with_body(&method.to_uppercase(), &target, &body)
        } else {
            Request::new(&method.to_uppercase(), target)
        };
        let request = if in_header { request.header(name, &text) } else { request };
        let answer = api.call(request).await;
        // In a URL and a header all is text: what it says is looked at.
        let said =
            if schema["type"] == "integer" { serde_json::from_str(&text).unwrap_or(json!(text)) } else { json!(text) };
        let place = format!("{path}: {name} = {}", short(&said));
        if parameter["in"] == "path" {
            // What is no identifier is that of nothing.
            assert!(
                answer.status == 404 || conforms(schema, &said) && answer.status < 300,
                "{place}: {}",
                answer.text()
            );
            continue;
        }
        assert_eq!(![400, 422].contains(&answer.status), conforms(schema, &said), "{place}: {}", answer.text());
    }
}

fn with_body(method: &str, target: &str, body: &Value) -> Request {
    Request::new(method, target).header("Content-Type", "application/json").body(body.to_string())
}

/// A target with `text` as its parameter `name`; the others that must be there are 1.
fn target_with(path: &str, operation: &Value, name: &str, text: &str) -> String {
    let mut target = path.to_owned();
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let known = parameter["name"].as_str().expect("a name");
        if known != name && parameter["required"] != json!(true) {
            continue;
        }
        let value = match known {
            _ if known == name => percent_encoded(text),
            "sender" => "BANK".to_owned(),
            _ => "1".to_owned(),
        };
        match parameter["in"].as_str() {
            Some("path") => target = target.replace(&format!("{{{known}}}"), &value),
            Some("query") => query.push(format!("{known}={value}")),
            _ => {}
        }
    }
    if query.is_empty() { target } else { format!("{target}?{}", query.join("&")) }
}

/// Nothing that clients send is without an end.
#[track_caller]
fn assert_bounded(place: &str, schema: &Value) {
    let has = |keyword: &str| !schema[keyword].is_null();
    let bounded = match main_type(schema) {
        "boolean" => true,
        "integer" => has("minimum") && has("maximum") && schema["format"] == "int64",
        "string" => has("enum") || has("pattern") || has("maxLength"),
        "array" => has("minItems") && has("maxItems") && has("items"),
        other => panic!("{place}: a {other}"),
    };
    assert!(bounded, "{place} is not bounded: {schema}");
    if main_type(schema) == "array" {
        assert_bounded(place, &schema["items"]);
    }
}

/// Values at and around the bounds of a schema, and odd ones of every type.
fn candidates(schema: &Value) -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!({}),
        json!([]),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(2.0),
        json!(1e3),
        json!(9.3e18),
    ];
    values.extend(
        ["", " ", "1", "x", "a b", "é", "+", "+111", "١٢٣", "\u{200b}", "\0", "null", "\u{2800}\u{feff}"]
            .map(Value::from),
    );
    for bound in ["minimum", "maximum"] {
        if let Some(bound) = schema[bound].as_i64() {
            values.push(json!(bound));
            values.push(json!(bound.saturating_sub(1)));
            values.push(json!(u64::try_from(bound).expect("not negative") + 1));
        }
    }
    for name in schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        values.extend([json!(name), json!(name.to_uppercase()), json!(format!("{name} "))]);
    }
    for filler in ["1", "~", "é"] {
        for bound in ["minLength", "maxLength"] {
            if let Some(length) = schema[bound].as_u64().and_then(|length| usize::try_from(length).ok()) {
                values.extend([length - 1, length, length + 1].map(|length| json!(filler.repeat(length))));
            }
        }
    }
    if schema["items"].is_object() {
        let item = |value: Value| json!(["111", value]);
        values.extend(candidates(&schema["items"]).into_iter().map(item));
        for bound in ["minItems", "maxItems"] {
            if let Some(length) = schema[bound].as_u64().and_then(|length| usize::try_from(length).ok()) {
                values.extend([length - 1, length, length + 1].map(|length| json!(vec!["111"; length])));
            }
        }
    }
    values
}

/// Whether JSON Schema, as far as the document uses it, allows the value.
pub(crate) fn conforms(schema: &Value, value: &Value) -> bool {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        names => names.as_array().expect("a type or some").iter().filter_map(Value::as_str).collect(),
    };
    let of_its_type = match value {
        Value::Null => types.contains(&"null"),
        Value::Bool(_) => types.contains(&"boolean"),
        Value::Number(number) => {
            types.contains(&"integer") && whole(number).is_some_and(|number| within(schema, number))
        }
        Value::String(text) => types.contains(&"string") && text_fits(schema, text),
        Value::Array(items) => {
            let fits = |bound: &str, fits: fn(u64, u64) -> bool| {
                schema[bound].as_u64().is_none_or(|bound| fits(items.len() as u64, bound))
            };
            let count_fits =
                fits("minItems", |count, least| count >= least) && fits("maxItems", |count, most| count <= most);
            types.contains(&"array") && count_fits && items.iter().all(|item| conforms(&schema["items"], item))
        }
        Value::Object(members) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let known = schema["properties"].as_object().into_iter().flatten();
            types.contains(&"object")
                && required.into_iter().all(|name| members.contains_key(name))
                && known.into_iter().all(|(name, schema)| members.get(name).is_none_or(|value| conforms(schema, value)))
        }
    };
    of_its_type && schema["enum"].as_array().is_none_or(|names| names.contains(value))
}

/// `1.0` is an integer.
fn whole(number: &serde_json::Number) -> Option<i128> {
    let written = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and too large ones stay too large")]
    written.or_else(|| number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128))
}

fn within(schema: &Value, number: i128) -> bool {
    let bound = |name: &str| schema[name].as_i64().map(i128::from);
    bound("minimum").is_none_or(|least| number >= least) && bound("maximum").is_none_or(|most| number <= most)
}

fn text_fits(schema: &Value, text: &str) -> bool {
    let length = text.chars().count() as u64;
    let pattern = schema["pattern"].as_str().map(|pattern| Regex::new(pattern).expect("a pattern"));
    schema["minLength"].as_u64().is_none_or(|least| length >= least)
        && schema["maxLength"].as_u64().is_none_or(|most| length <= most)
        && pattern.is_none_or(|pattern| pattern.is_match(text))
}

fn main_type(schema: &Value) -> &str {
    let name = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    name.unwrap_or_else(|| panic!("no type: {schema}"))
}

/// Follows a `$ref`.
pub(crate) fn resolve<'document>(document: &'document Value, schema: &'document Value) -> &'document Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.map_or(schema, |pointer| document.pointer(pointer).expect("it leads somewhere"))
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02x}"))
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
