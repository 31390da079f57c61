//! Endpoints of customers, and what they were told.

use serde_json::{Value, json};

use crate::{
    send::with,
    support::{Fixture, Gateway, Request, list, message},
};

impl Gateway {
    /// An endpoint of a customer, as it was made.
    pub(crate) async fn endpoint(&self, user: i64) -> Value {
        let body = json!({"customer_id": user, "url": "https://93.184.216.34/callbacks"});
        let answer = self.call(Request::post("/callbacks/endpoints", &body)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// The id of an event that tests an endpoint.
    pub(crate) async fn test_endpoint(&self, user: i64, endpoint: &str) -> String {
        let target = format!("/callbacks/endpoints/{endpoint}/test?customer_id={user}");
        let answer = self.call(Request::new("POST", target)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    async fn change(&self, endpoint: &str, change: &Value) -> crate::support::Answer {
        let request = Request::new("PATCH", format!("/callbacks/endpoints/{endpoint}"));
        self.call(request.header("Content-Type", "application/json").body(change.to_string())).await
    }
}

pub(crate) async fn an_endpoint_is_made_shown_changed_and_removed(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let made = api.endpoint(1).await;
    let id = made["id"].as_str().expect("an id");
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    assert_eq!((made["enabled"].clone(), list(&made, "events").len()), (json!(true), 7));
    let shown = api.get(&format!("/callbacks/endpoints/{id}?customer_id=1")).await.ok();
    assert_eq!((shown["secret"].clone(), shown["url"].clone()), (Value::Null, made["url"].clone()));
    let secret = api.get(&format!("/callbacks/endpoints/{id}/secret?customer_id=1")).await.ok();
    assert_eq!(secret["secret"], made["secret"]);
    let changed = api.change(id, &json!({"customer_id": 1, "events": ["message.failed"], "enabled": false})).await.ok();
    assert_eq!((changed["events"].clone(), changed["enabled"].clone()), (json!(["message.failed"]), json!(false)));
    assert_eq!(changed["url"], made["url"], "what is not named stays");
    let limited = api.change(id, &json!({"customer_id": 1, "per_second": 5, "description": "orders"})).await.ok();
    assert_eq!((limited["per_second"].clone(), limited["description"].clone()), (json!(5), json!("orders")));
    let cleared = api.change(id, &json!({"customer_id": 1, "per_second": null})).await.ok();
    assert_eq!((cleared["per_second"].clone(), cleared["description"].clone()), (Value::Null, json!("orders")));
    let rotate = Request::post(
        &format!("/callbacks/endpoints/{id}/rotate-secret"),
        &json!({"customer_id": 1, "overlap_seconds": 60}),
    );
    assert_ne!(api.call(rotate).await.ok()["secret"], made["secret"]);
    let remove = || Request::new("DELETE", format!("/callbacks/endpoints/{id}?customer_id=1"));
    assert_eq!(api.call(remove()).await.status, 204);
    api.call(remove()).await.error(404, "not_found");
    assert_eq!(api.get("/callbacks/endpoints?customer_id=1").await.ok(), json!({"endpoints": []}));
}

pub(crate) async fn a_url_that_leads_into_our_network_is_refused(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for url in ["https://127.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "https://localhost/"] {
        let body = json!({"customer_id": 1, "url": url});
        api.call(Request::post("/callbacks/endpoints", &body)).await.invalid("public addresses");
    }
    for (url, about) in [("http://93.184.216.34/", "https"), ("https://a@93.184.216.34/", "user"), ("x", "whole URL")] {
        let body = json!({"customer_id": 1, "url": url});
        api.call(Request::post("/callbacks/endpoints", &body)).await.invalid(about);
    }
}

/// Where a message says that it is told of, and what a retry gets when that is allowed no more.
pub(crate) async fn a_message_names_a_url_of_an_enabled_endpoint(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    api.fund(2, 100).await;
    let endpoint = api.endpoint(1).await;
    let told_at = |user, url: &str| with(&message(user, &["111"]), "callback_url", json!(url));
    let own = told_at(1, "https://93.184.216.34/other?order=1");
    let first = api.send_with_key(&own, "a").await;
    first.ok();
    for body in [
        told_at(2, "https://93.184.216.34/other"),
        told_at(1, "https://93.184.216.34:8443/"),
        told_at(1, "http://93.184.216.34/"),
        told_at(1, "https://93.184.216.34.example.com/"),
    ] {
        api.send(&body).await.invalid("callback_url must start with the origin");
    }
    let id = endpoint["id"].as_str().expect("an id");
    api.change(id, &json!({"customer_id": 1, "enabled": false})).await.ok();
    api.send_with_key(&own, "b").await.invalid("callback_url must start with the origin");
    let again = api.send_with_key(&own, "a").await;
    assert!(again.is_replay());
    assert_eq!(again.ok(), first.ok());
    assert_eq!(api.balance(1).await, 99);
}

pub(crate) async fn a_customer_has_ten_endpoints(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for _ in 0..10 {
        api.endpoint(1).await;
    }
    let body = json!({"customer_id": 1, "url": "https://93.184.216.34/"});
    api.call(Request::post("/callbacks/endpoints", &body)).await.invalid("10 endpoints");
    api.endpoint(2).await;
}

pub(crate) async fn events_are_listed_and_asked_for_again(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let endpoint = api.endpoint(1).await;
    let id = endpoint["id"].as_str().expect("an id");
    let event = api.test_endpoint(1, id).await;
    let events = api.get(&format!("/callbacks/events?customer_id=1&endpoint={id}&status=pending")).await.ok();
    let listed = &list(&events, "events")[0];
    assert_eq!((listed["id"].clone(), listed["endpoint"].clone()), (json!(event), json!(id)));
    assert_eq!(listed["payload"]["data"], json!({"endpoint": id}));
    let none = api.get("/callbacks/events?customer_id=1&since=2100-01-01T00:00:00Z").await.ok();
    assert_eq!(none, json!({"events": [], "next_cursor": null}));
    let attempts = api.get(&format!("/callbacks/events/{event}/attempts?customer_id=1")).await.ok();
    assert_eq!(attempts, json!({"attempts": []}));
    let resend = |user| Request::new("POST", format!("/callbacks/events/{event}/resend?customer_id={user}"));
    assert_eq!(api.call(resend(1)).await.status, 202);
    api.call(resend(2)).await.error(404, "not_found");
    f.sql().await.execute("UPDATE callback_events SET status = 'failed'").await;
    let body = json!({"customer_id": 1, "since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"});
    let recovered = api.call(Request::post(&format!("/callbacks/endpoints/{id}/recover"), &body)).await;
    assert_eq!((recovered.status, recovered.json()), (202, json!({"events": 1, "is_complete": true})));
    // The customer in the query string; and a time that ends before it begins.
    let body = json!({"since": "2100-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z"});
    let recover = |query: &str, body| Request::post(&format!("/callbacks/endpoints/{id}/recover{query}"), body);
    let wrong = api.call(recover("?customer_id=1", &body)).await;
    assert_eq!(wrong.error(400, "invalid_input"), "since must be before until");
    let wrong = api.call(recover("?customer_id=1", &json!({"customer_id": 2}))).await;
    assert_eq!(wrong.error(400, "invalid_input"), "customer_id differs between the body and the query string");
}

pub(crate) async fn without_a_master_key_no_endpoint_can_be_made(f: &Fixture) {
    let api = f.gateway(&[("CALLBACK_MASTER_KEY", "")]).await;
    let body = json!({"customer_id": 1, "url": "https://93.184.216.34/"});
    api.call(Request::post("/callbacks/endpoints", &body)).await.error(503, "unavailable");
    assert_eq!(api.get("/callbacks/endpoints?customer_id=1").await.ok(), json!({"endpoints": []}));
}
