//! Every route of the document, asked by every kind of caller. A route without a row here fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, Fixture, Gateway, Request, keys::Made, message};

/// The well-formed key that was never made, and what is none.
const UNKNOWN: &str = "mpk_0123456789abcdefghijABCDEFGHIJ011PgylC";
const WRONG_CHECKSUM: &str = "mpk_0123456789abcdefghijABCDEFGHIJ011PgylD";
const ALL_SCOPES: [&str; 5] = ["send", "read", "callbacks", "topup", "admin"];

/// What each caller is answered that gets past the door: customer 1 with all scopes that a customer may have, customer 2 with the same,
/// and the platform.
struct Row {
    method: &'static str,
    path: &'static str,
    own: u16,
    other: u16,
    platform: u16,
}

const fn row(method: &'static str, path: &'static str, [own, other, platform]: [u16; 3]) -> Row {
    Row { method, path, own, other, platform }
}

const ROWS: [Row; 30] = [
    row("POST", "/messages/send", [200, 403, 200]),
    row("POST", "/messages/preview", [200, 403, 200]),
    row("GET", "/messages/history", [200, 403, 200]),
    row("GET", "/messages/{id}", [200, 404, 200]),
    // It waits for nothing.
    row("POST", "/messages/{id}/cancel", [409, 404, 409]),
    row("GET", "/balance", [200, 403, 200]),
    row("POST", "/balance/add", [403, 403, 200]),
    // None of these sends receipts: to everybody there is nothing at such a path.
    row("POST", "/operators/{name}/receipts", [404, 404, 404]),
    row("POST", "/callbacks/endpoints", [201, 403, 201]),
    row("GET", "/callbacks/endpoints", [200, 403, 200]),
    row("GET", "/callbacks/endpoints/{id}", [200, 403, 200]),
    row("PATCH", "/callbacks/endpoints/{id}", [200, 403, 200]),
    row("DELETE", "/callbacks/endpoints/{id}", [404, 403, 404]),
    row("GET", "/callbacks/endpoints/{id}/secret", [200, 403, 200]),
    row("POST", "/callbacks/endpoints/{id}/rotate-secret", [200, 403, 200]),
    row("POST", "/callbacks/endpoints/{id}/test", [202, 403, 202]),
    row("POST", "/callbacks/endpoints/{id}/recover", [202, 403, 202]),
    row("GET", "/callbacks/events", [200, 403, 200]),
    row("GET", "/callbacks/events/{id}/attempts", [200, 403, 200]),
    row("POST", "/callbacks/events/{id}/resend", [202, 403, 202]),
    row("POST", "/admin/keys", [403, 403, 201]),
    row("GET", "/admin/keys", [403, 403, 200]),
    row("POST", "/admin/keys/{id}/rotate", [403, 403, 404]),
    row("DELETE", "/admin/keys/{id}", [403, 403, 404]),
    row("POST", "/admin/senders", [403, 403, 201]),
    row("GET", "/admin/senders", [403, 403, 200]),
    row("DELETE", "/admin/senders", [403, 403, 204]),
    row("GET", "/healthz", [200, 200, 200]),
    row("GET", "/readyz", [200, 200, 200]),
    row("GET", "/metrics", [200, 200, 200]),
];

/// What asks for a route in the name of customer 1.
struct Asked {
    /// A message of customer 1, an endpoint of it and an event for that.
    message: String,
    endpoint: String,
    event: String,
}

impl Asked {
    fn request(&self, row: &Row) -> Request {
        let target = match row.path {
            "/messages/{id}" | "/messages/{id}/cancel" => row.path.replace("{id}", &self.message),
            "/messages/history" | "/balance" => format!("{}?user_id=1", row.path),
            "/admin/senders" if row.method == "DELETE" => "/admin/senders?customer_id=1&sender=BANK".to_owned(),
            // It would be gone for the rows after it.
            "/callbacks/endpoints/{id}" if row.method == "DELETE" => {
                format!("/callbacks/endpoints/ep_{:032x}?customer_id=1", 7)
            }
            path if path.starts_with("/callbacks/events") => {
                format!("{}?customer_id=1", path.replace("{id}", &self.event))
            }
            path if path.starts_with("/callbacks/") => {
                format!("{}?customer_id=1", path.replace("{id}", &self.endpoint))
            }
            path => path.replace("{id}", "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20"),
        };
        let request = Request::bare(row.method, target);
        match Self::body(row) {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    fn body(row: &Row) -> Option<Value> {
        match (row.method, row.path) {
            ("POST", "/messages/send" | "/messages/preview") => Some(message(1, &["111"])),
            ("POST", "/balance/add") => Some(json!({"user_id": 1, "balance": 1})),
            ("POST", "/admin/keys") => Some(json!({"name": "x", "scopes": ["send"]})),
            ("POST", "/admin/senders") => Some(json!({"customer_id": 1, "sender": "BANK"})),
            ("POST", "/messages/{id}/cancel") => None,
            ("POST", "/callbacks/endpoints") => Some(json!({"customer_id": 1, "url": "https://93.184.216.34/"})),
            ("POST", "/callbacks/endpoints/{id}/recover") => {
                Some(json!({"customer_id": 1, "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}))
            }
            ("PATCH", _) => Some(json!({"customer_id": 1, "enabled": true})),
            ("POST", _) => Some(json!({"customer_id": 1, "overlap_seconds": 0})),
            _ => None,
        }
    }
}

/// The keys that ask.
struct Keys {
    own: Made,
    other: Made,
    platform: Made,
    expired: Made,
    revoked: Made,
}

impl Keys {
    async fn make(f: &Fixture, api: Gateway) -> Self {
        let of_tenant = ["send", "read", "callbacks"];
        let keys = Self {
            own: api.make_key(Some(1), &of_tenant).await,
            other: api.make_key(Some(2), &of_tenant).await,
            platform: api.make_key(None, &ALL_SCOPES).await,
            expired: api.make_key(None, &ALL_SCOPES).await,
            revoked: api.make_key(None, &ALL_SCOPES).await,
        };
        let ended =
            format!("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00' WHERE public_id = '{}'", keys.expired.id);
        f.sql().await.execute(&ended).await;
        api.revoke(&keys.revoked).await;
        keys
    }
}

pub(crate) async fn every_route_knows_every_kind_of_caller(f: &Fixture) {
    let open = f.gateway(&[]).await;
    open.fund(1, 1_000).await;
    let endpoint = open.endpoint(1).await["id"].as_str().expect("an id").to_owned();
    let asked = Asked {
        message: open.send(&message(1, &["111"])).await.accepted(),
        event: open.test_endpoint(1, &endpoint).await,
        endpoint,
    };
    let keys = Keys::make(f, open).await;
    let closed = f.gateway(&[("AUTH_REQUIRED", "true")]).await;
    for api in [open, closed] {
        let is_open = api.address == open.address;
        let document = api.get("/openapi.json").await.ok();
        let mut rows: BTreeSet<_> = ROWS.iter().map(|row| (row.method.to_lowercase(), row.path)).collect();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let row = ROWS.iter().find(|row| row.path == path && row.method.eq_ignore_ascii_case(method));
                let row = row.unwrap_or_else(|| panic!("{method} {path} has no row: say who may ask for it"));
                rows.remove(&(method.clone(), row.path));
                assert_row(api, is_open, row, operation, &asked, &keys).await;
            }
        }
        assert!(rows.is_empty(), "these are not in the document: {rows:?}");
    }
}

async fn assert_row(api: Gateway, is_open: bool, row: &Row, operation: &Value, asked: &Asked, keys: &Keys) {
    let place = format!("{} {} ({})", row.method, row.path, if is_open { "open" } else { "closed" });
    let ask = async |key: Option<&str>| {
        let request = asked.request(row);
        api.call(key.into_iter().fold(request, Request::with_key)).await
    };
    let needed =
        operation["security"].as_array().into_iter().flatten().find_map(|needed| needed["api_key"][0].as_str());
    let Some(scope) = needed else {
        for key in [None, Some("garbage"), Some(UNKNOWN), Some(&*keys.revoked.key), Some(&*keys.own.key)] {
            assert_eq!(ask(key).await.status, row.own, "{place}: it is for everybody");
        }
        return;
    };
    let without = ask(None).await;
    // What the document says of an open gateway, and what is done.
    let may_do_without = operation["security"].as_array().is_some_and(|all| all.contains(&json!({})));
    assert_eq!(may_do_without, is_open && scope != "admin" && scope != "callbacks", "{place}");
    if may_do_without {
        assert_eq!(without.status, row.platform, "{place}: {}", without.text());
    } else {
        assert_unauthorized(&without, "Send a valid API key as Authorization: Bearer <key>.", false, &place);
    }
    for wrong in ["garbage", "mpk_short", WRONG_CHECKSUM, UNKNOWN] {
        let text = "Send a valid API key as Authorization: Bearer <key>.";
        assert_unauthorized(&ask(Some(wrong)).await, text, true, &place);
    }
    assert_unauthorized(&ask(Some(&keys.expired.key)).await, "This API key has expired.", true, &place);
    assert_unauthorized(&ask(Some(&keys.revoked.key)).await, "This API key was revoked.", true, &place);
    let lacking: Vec<_> = ALL_SCOPES.into_iter().filter(|known| *known != scope).collect();
    let lacking = api.make_key(None, &lacking).await;
    let refused = ask(Some(&lacking.key)).await.error(403, "forbidden");
    assert_eq!(refused, format!("This API key lacks the scope {scope}."), "{place}");
    for (who, key, expected) in
        [("own", &keys.own, row.own), ("other", &keys.other, row.other), ("platform", &keys.platform, row.platform)]
    {
        let answer = ask(Some(&key.key)).await;
        assert_eq!(answer.status, expected, "{place} by {who}: {}", answer.text());
    }
}

#[track_caller]
fn assert_unauthorized(answer: &Answer, text: &str, was_sent: bool, place: &str) {
    assert_eq!(answer.error(401, "unauthorized"), text, "{place}");
    let challenge = answer.header("WWW-Authenticate").expect("a challenge");
    let error = if was_sent { ", error=\"invalid_token\"" } else { "" };
    assert_eq!(challenge, format!("Bearer realm=\"messaging-platform\"{error}"), "{place}");
}
