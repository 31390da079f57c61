//! Keys for tests, made as an operator makes them.

use std::sync::LazyLock;

use domain::{ApiKey, Grant, KeyKind, KeyName, Owner, Scope, Scopes};
use persistence::{Database, NewKey};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Gateway, Request};

/// The platform's key for callbacks, which nobody gets to without one.
pub(crate) fn callbacks_key() -> &'static ApiKey {
    static KEY: LazyLock<ApiKey> =
        LazyLock::new(|| ApiKey::generate(KeyKind::Platform, &mut StdRng::seed_from_u64(0x0CA1_1BAC)));
    &KEY
}

/// Stores it, where no gateway before has.
pub(super) async fn store_callbacks_key(database: &Database) {
    if database.find_key(&callbacks_key().hash()).await.expect("looks").is_none() {
        let grant = Grant::new(Owner::Platform, Scopes::of(&[Scope::Callbacks])).expect("may have it");
        let name = KeyName::parse("callbacks".to_owned()).expect("a name");
        database.issue_key(&NewKey::new(Uuid::now_v7(), callbacks_key(), grant, name)).await.expect("stores");
    }
}

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
