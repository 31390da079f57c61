//! Keys for tests, made as an operator makes them.

use serde_json::{Value, json};

use super::{Gateway, Request};

/// A key that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) key: String,
}

impl Gateway {
    /// `POST /admin/keys` for a customer, or for the platform.
    pub(crate) async fn make_key(&self, customer: Option<i64>, scopes: &[&str]) -> Made {
        self.make(&json!({"name": "a test's", "customer_id": customer, "scopes": scopes})).await
    }

    /// `POST /admin/keys` of this body.
    pub(crate) async fn make(&self, body: &Value) -> Made {
        let answer = self.call(Request::post("/admin/keys", body)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made = answer.json();
        let text = |member: &str| made[member].as_str().expect("a text").to_owned();
        Made { id: text("id"), key: text("key") }
    }

    pub(crate) async fn revoke(&self, key: &Made) {
        let answer = self.call(Request::new("DELETE", format!("/admin/keys/{}", key.id))).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
}
