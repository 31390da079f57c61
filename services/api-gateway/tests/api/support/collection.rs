//! The Postman collection: a good request to every route.

use serde_json::Value;

use super::Request;

const COLLECTION: &str = include_str!("../../../../../postman/collections/messaging-platform.postman_collection.json");

/// A request of the collection.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) name: String,
    pub(crate) request: Request,
    /// What Postman runs on the answer.
    pub(crate) script: String,
}

/// All of them, in their order.
pub(crate) fn collected() -> Vec<Collected> {
    let collection: Value = serde_json::from_str(COLLECTION).expect("JSON");
    let folders = collection["item"].as_array().expect("folders");
    folders.iter().flat_map(|folder| folder["item"].as_array().expect("requests")).map(collect).collect()
}

fn collect(item: &Value) -> Collected {
    let request = &item["request"];
    let url = request["url"]["raw"].as_str().expect("a URL").strip_prefix("{{base_url}}").expect("the variable");
    let target = url.replace("{{message_identifier}}", "01a204c9-12bd-75be-b8d5-2986e23477a4");
    let called = Request::new(request["method"].as_str().expect("a method"), target);
    Collected {
        name: item["name"].as_str().expect("a name").to_owned(),
        request: match request["body"]["raw"].as_str() {
            Some(body) => {
                serde_json::from_str::<Value>(body).expect("a JSON body");
                called.header("Content-Type", "application/json").body(body)
            }
            None => called,
        },
        script: item["event"][0]["script"]["exec"].to_string(),
    }
}
