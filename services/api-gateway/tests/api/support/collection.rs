//! The Postman collection: a good request to every route.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Answer, Request};

const COLLECTION: &str = include_str!("../../../../../postman/collections/messaging-platform.postman_collection.json");

/// A request of the collection.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) name: String,
    method: String,
    url: String,
    body: Option<String>,
    authorization: Option<String>,
    /// What Postman runs on the answer.
    pub(crate) script: String,
}

/// What requests take from answers before them.
#[derive(Debug)]
pub(crate) struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    /// What somebody set by hand.
    pub(crate) fn with(name: &'static str, value: &str) -> Self {
        Self(BTreeMap::from([(name, value.to_owned())]))
    }

    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
    }
}

/// All of them, in their order.
pub(crate) fn collected() -> Vec<Collected> {
    let collection: Value = serde_json::from_str(COLLECTION).expect("JSON");
    let folders = collection["item"].as_array().expect("folders");
    folders.iter().flat_map(|folder| folder["item"].as_array().expect("requests")).map(collect).collect()
}

fn collect(item: &Value) -> Collected {
    let request = &item["request"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let body = request["body"]["raw"].as_str().map(str::to_owned);
    if let Some(body) = &body {
        serde_json::from_str::<Value>(body).expect("a JSON body");
    }
    let mut headers = request["header"].as_array().into_iter().flatten();
    let authorization = headers.find(|header| header["key"] == "Authorization").map(|header| text(&header["value"]));
    Collected {
        authorization,
        name: text(&item["name"]),
        method: text(&request["method"]),
        url: text(&request["url"]["raw"]),
        body,
        script: item["event"][0]["script"]["exec"].to_string(),
    }
}

impl Collected {
    /// The request, with what is known of earlier answers.
    pub(crate) fn request(&self, known: &Variables) -> Request {
        let target = self.url.strip_prefix("{{base_url}}").expect("the variable").to_owned();
        let filled = known.fill(&target);
        assert!(!filled.contains("{{"), "{}: no request before sets what {filled} needs", self.name);
        let mut called = Request::new(&self.method, filled);
        if let Some(authorization) = &self.authorization {
            called = called.header("Authorization", known.fill(authorization));
        }
        match &self.body {
            Some(body) => called.header("Content-Type", "application/json").body(body.clone()),
            None => called,
        }
    }

    /// Takes from an answer what the script takes.
    pub(crate) fn learn(&self, answer: &Answer, known: &mut Variables) {
        for (name, member) in
            [("message_identifier", "message_identifier"), ("key_id", "id"), ("endpoint_id", "id"), ("event_id", "id")]
        {
            if self.script.contains(&format!("set(\\\"{name}\\\"")) {
                known.0.insert(name, answer.json()[member].as_str().expect("a text").to_owned());
            }
        }
    }
}
