//! Keys and what is done with them: made, shown once, replaced, revoked, limited; and customers who see nothing of each other.

use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};
use test_support::wait_until;

use crate::support::{ADMIN_KEY, Fixture, Gateway, Request, keys::Made, list, message};

const CLOSED: &[(&str, &str)] = &[("AUTH_REQUIRED", "true")];

async fn as_key(api: Gateway, key: &Made, request: Request) -> crate::support::Answer {
    api.call(request.with_key(&key.key)).await
}

fn rotate(key: &Made, overlap: i64) -> Request {
    Request::post(&format!("/admin/keys/{}/rotate", key.id), &json!({"overlap_seconds": overlap}))
}

fn revoke(id: &str) -> Request {
    Request::new("DELETE", format!("/admin/keys/{id}"))
}

/// A request that any key with the scope `read` may make about customer 1.
fn reads() -> Request {
    Request::bare("GET", "/balance?user_id=1")
}

pub(crate) async fn a_key_is_shown_once(f: &Fixture) {
    let api = f.gateway(CLOSED).await;
    let body = json!({"name": "shop", "customer_id": 1, "scopes": ["read", "send"], "requests_per_second": 50,
        "expires_at": "2099-01-01T01:00:00+01:00"});
    let answer = api.call(Request::post("/admin/keys", &body)).await;
    assert_eq!(answer.status, 201);
    let made = answer.json();
    let key = made["key"].as_str().expect("a key").to_owned();
    assert!(Regex::new("^mpk_[0-9A-Za-z]{38}$").expect("a pattern").is_match(&key), "{key}");
    let (id, created_at) = (made["id"].clone(), made["created_at"].clone());
    let expected = json!({"id": id, "key": key, "hint": key[38..], "name": "shop", "customer_id": 1,
        "scopes": ["send", "read"], "requests_per_second": 50, "created_at": created_at,
        "expires_at": "2099-01-01T00:00:00.000Z"});
    assert_eq!(made, expected);
    let listed = api.get("/admin/keys?customer_id=1").await;
    assert!(!listed.text().contains(&key[..38]), "{}", listed.text());
    let listed = listed.ok();
    let entry = &list(&listed, "keys")[0];
    assert_eq!(entry["id"], id);
    assert_eq!((&entry["last_used_at"], &entry["revoked_at"]), (&Value::Null, &Value::Null));
    let stored = f.sql().await.number("SELECT COUNT(*) FROM api_keys WHERE LENGTH(hash) = 32").await;
    assert_eq!(stored, 1);
    let platform = api.make(&json!({"name": "ours", "scopes": ["topup"]})).await;
    assert!(platform.key.starts_with("mpa_"));
}

pub(crate) async fn a_customer_has_twenty_good_keys(f: &Fixture) {
    let api = f.gateway(CLOSED).await;
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(api.make_key(Some(1), &["read"]).await);
    }
    let one_more = || Request::post("/admin/keys", &json!({"name": "x", "customer_id": 1, "scopes": ["read"]}));
    api.call(one_more()).await.invalid("20 keys");
    api.call(rotate(&made[0], 60)).await.invalid("20 keys");
    assert_eq!(api.call(rotate(&made[0], 0)).await.status, 201, "its place is free at once");
    api.make_key(Some(2), &["read"]).await;
    api.revoke(&made[1]).await;
    assert_eq!(api.call(one_more()).await.status, 201);
    let pages = api.walk("/admin/keys?customer_id=1&limit=9", "keys").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [9, 9, 4]);
}

pub(crate) async fn a_wrong_key_is_not_made(f: &Fixture) {
    let api = f.gateway(CLOSED).await;
    for (body, about) in [
        (json!({"scopes": ["send"]}), "name is missing"),
        (json!({"name": "", "scopes": ["send"]}), "name must have 1 to 100"),
        (json!({"name": "x"}), "scopes is missing"),
        (json!({"name": "x", "scopes": []}), "scopes must be 1 to 5 different"),
        (json!({"name": "x", "scopes": ["send", "send"]}), "scopes must be 1 to 5 different"),
        (json!({"name": "x", "scopes": ["everything"]}), "scopes must be 1 to 5 different"),
        (json!({"name": "x", "customer_id": 0, "scopes": ["send"]}), "customer_id must be"),
        (
            json!({"name": "x", "customer_id": 1, "scopes": ["topup"]}),
            "scopes topup and admin belong to keys without customer_id",
        ),
        (
            json!({"name": "x", "customer_id": 1, "scopes": ["admin"]}),
            "scopes topup and admin belong to keys without customer_id",
        ),
        (json!({"name": "x", "scopes": ["send"], "requests_per_second": 0}), "requests_per_second must be"),
        (
            json!({"name": "x", "scopes": ["send"], "expires_at": "tomorrow"}),
            "expires_at must be RFC 3339 with an offset",
        ),
        (
            json!({"name": "x", "scopes": ["send"], "expires_at": "2020-01-01T00:00:00Z"}),
            "expires_at must lie in the future",
        ),
    ] {
        api.call(Request::post("/admin/keys", &body)).await.invalid(about);
    }
    assert_eq!(f.sql().await.number("SELECT COUNT(*) FROM api_keys").await, 0);
}

pub(crate) async fn a_key_is_replaced_with_an_overlap(f: &Fixture) {
    let api = f.gateway(CLOSED).await;
    let old =
        api.make(&json!({"name": "shop", "customer_id": 1, "scopes": ["read"], "requests_per_second": 1000})).await;
    let answer = api.call(rotate(&old, 3_600)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let new = answer.json();
    assert_eq!(
        [&new["name"], &new["scopes"], &new["requests_per_second"]],
        [&json!("shop"), &json!(["read"]), &json!(1000)]
    );
    assert!(new["expires_at"].is_null() && new["id"] != json!(old.id));
    let new =
        Made { id: new["id"].as_str().expect("an id").to_owned(), key: new["key"].as_str().expect("a key").to_owned() };
    for key in [&old, &new] {
        assert_eq!(as_key(api, key, reads()).await.status, 200);
    }
    let listed = api.get("/admin/keys").await.ok();
    assert!(list(&listed, "keys")[0]["expires_at"].is_null() && !list(&listed, "keys")[1]["expires_at"].is_null());
    let ended = list(&listed, "keys")[1]["expires_at"].clone();
    api.call(rotate(&old, 604_800)).await;
    assert_eq!(
        list(&api.get("/admin/keys").await.ok(), "keys")[2]["expires_at"],
        ended,
        "never later than it was to end"
    );
    for (overlap, about) in [(-1, "overlap_seconds must be"), (604_801, "overlap_seconds must be")] {
        api.call(rotate(&new, overlap)).await.invalid(about);
    }
    api.revoke(&new).await;
    api.call(rotate(&new, 0)).await.invalid("expired or was revoked");
    let nobodys = Made { id: "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20".to_owned(), key: String::new() };
    api.call(rotate(&nobodys, 0)).await.error(404, "not_found");
}

pub(crate) async fn a_revoked_key_is_refused_by_every_gateway_within_ten_seconds(f: &Fixture) {
    let gateways = [f.gateway(CLOSED).await, f.gateway(CLOSED).await];
    let key = gateways[0].make_key(Some(1), &["read"]).await;
    for api in gateways {
        assert_eq!(as_key(api, &key, reads()).await.status, 200);
    }
    for _ in 0..2 {
        gateways[0].revoke(&key).await;
    }
    gateways[0].call(revoke("0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20")).await.error(404, "not_found");
    gateways[0].call(revoke("none")).await.error(404, "not_found");
    for api in gateways {
        let refused = async || (as_key(api, &key, reads()).await.status == 401).then_some(());
        // Ten seconds, and some for a busy machine.
        wait_until(Duration::from_secs(15), "the gateway refuses it", refused).await;
        assert_eq!(as_key(api, &key, reads()).await.error(401, "unauthorized"), "This API key was revoked.");
    }
}

pub(crate) async fn a_key_may_have_a_limit_of_its_own(f: &Fixture) {
    let api = f.gateway(CLOSED).await;
    let key = api.make(&json!({"name": "slow", "customer_id": 1, "scopes": ["read"], "requests_per_second": 2})).await;
    let refused = async || {
        let answer = as_key(api, &key, reads()).await;
        (answer.status == 429).then_some(answer)
    };
    let answer = wait_until(Duration::from_secs(30), "it is limited", refused).await;
    assert_eq!(answer.error(429, "rate_limit_exceeded"), "Too many requests. Please retry later.");
    assert_eq!(answer.header("RateLimit-Limit"), Some("2"));
    assert!(api.metrics().await.sum("rate_limited_requests_total", &[("scope", "key")]) >= 1.0);
    let other = api.make_key(Some(1), &["read"]).await;
    assert_eq!(as_key(api, &other, reads()).await.status, 200, "it is that key's alone");
}

pub(crate) async fn checks_of_keys_come_in_the_contracts_order(f: &Fixture) {
    let api = f.gateway(CLOSED).await;
    let key = api.make_key(Some(1), &["read"]).await;
    let broken = || Request::bare("POST", "/messages/send").header("Content-Type", "application/json").body("{");
    api.call(broken()).await.error(401, "unauthorized");
    api.call(broken().with_key("garbage")).await.error(401, "unauthorized");
    as_key(api, &key, broken()).await.invalid("JSON");
    let foreign = Request::post("/messages/send", &message(2, &["111"]));
    let refused = as_key(api, &key, foreign).await.error(403, "forbidden");
    assert_eq!(refused, "This API key lacks the scope send.", "the scope before the customer");
    let sends = api.make_key(Some(1), &["send"]).await;
    let refused =
        as_key(api, &sends, Request::post("/messages/send", &message(2, &["111"]))).await.error(403, "forbidden");
    assert_eq!(refused, "customer_id is not the customer of this API key.");
    let reads = as_key(api, &key, Request::get("/messages/history?user_id=2")).await.error(403, "forbidden");
    assert_eq!(reads, "user_id is not the customer of this API key.");
    api.call(Request::bare("GET", "/nowhere")).await.error(401, "unauthorized");
    as_key(api, &key, Request::get("/nowhere")).await.error(404, "not_found");
    let twice = Request::bare("GET", "/balance?user_id=1").with_key(&key.key).with_key(&key.key);
    api.call(twice).await.error(401, "unauthorized");
}

pub(crate) async fn the_key_of_the_start_makes_keys_and_does_nothing_else(f: &Fixture) {
    let api = f.gateway(CLOSED).await;
    for request in [reads(), Request::post("/balance/add", &json!({"user_id": 1, "balance": 1}))] {
        api.call(request.with_key(ADMIN_KEY)).await.error(403, "forbidden");
    }
    assert_eq!(api.get("/admin/keys").await.ok(), json!({"keys": [], "next_cursor": null}));
}

/// All that there is of customer 1, and everything that customer 2 can ask: no byte of the one is in an answer to the other.
pub(crate) async fn customers_see_nothing_of_each_other(f: &Fixture) {
    let api = f.gateway(&[("AUTH_REQUIRED", "true"), ("SENDERS", "registered")]).await;
    let platform = api.make_key(None, &["topup", "read"]).await;
    for user in [1, 2] {
        let body = json!({"user_id": user, "balance": 1_000, "description": format!("secret of {user}")});
        as_key(api, &platform, Request::post("/balance/add", &body)).await.ok();
        let sender = json!({"customer_id": user, "sender": format!("SHOP{user}")});
        assert_eq!(api.call(Request::post("/admin/senders", &sender)).await.status, 201);
    }
    let keys = [api.make_key(Some(1), &["send", "read"]).await, api.make_key(Some(2), &["send", "read"]).await];
    let send = |user: usize| {
        let text = json!({"text": format!("text of {user}"), "recipients": [format!("4470000000{user}"), format!("4471111111{user}")],
            "from": format!("SHOP{user}"), "client_reference": "order-1"});
        Request::post("/messages/send", &text).key("the-same-key")
    };
    let mut messages = Vec::new();
    for (user, key) in [1, 2].into_iter().zip(&keys) {
        let answer = as_key(api, key, send(user)).await;
        assert!(!answer.is_replay(), "another customer's key");
        messages.push(answer.ok()["message_identifier"].as_str().expect("an id").to_owned());
    }
    let first_page = as_key(api, &keys[0], Request::get("/messages/history?limit=1")).await.ok();
    let (cursor, foreign) = (first_page["next_cursor"].as_str().expect("more").to_owned(), &messages[0]);
    let entries = as_key(api, &keys[0], Request::get("/balance")).await.ok();
    let transactions =
        list(&entries, "transactions").iter().map(|entry| entry["transaction_id"].as_str().expect("an id").to_owned());
    let secrets: Vec<String> = transactions
        .chain([foreign.clone(), keys[0].id.clone()])
        .chain(["text of 1", "44700000001", "44711111111", "SHOP1", "secret of 1", "\"user_id\":1,"].map(str::to_owned))
        .collect();
    let asked = [
        "/messages/history".to_owned(),
        "/messages/history?user_id=2".to_owned(),
        "/messages/history?user_id=1".to_owned(),
        format!("/messages/history?cursor={cursor}"),
        format!("/messages/history?message_identifier={foreign}"),
        "/messages/history?client_reference=order-1".to_owned(),
        format!("/messages/history?client_reference=order-1&cursor={cursor}"),
        "/messages/history?status=pending".to_owned(),
        format!("/messages/{foreign}"),
        format!("/messages/{foreign}?cursor={cursor}"),
        format!("/messages/{foreign}?user_id=1"),
        format!("/messages/{foreign}?user_id=2"),
        format!("/messages/{}", messages[1]),
        "/balance".to_owned(),
        "/balance?user_id=1".to_owned(),
        format!("/balance?cursor={cursor}"),
        "/admin/keys".to_owned(),
        "/admin/senders".to_owned(),
    ];
    for target in asked {
        let answer = as_key(api, &keys[1], Request::bare("GET", target.clone())).await;
        for secret in &secrets {
            assert!(!answer.text().contains(secret), "{target} tells of {secret}: {}", answer.text());
        }
        let is_own = [200, 403, 404].contains(&answer.status);
        assert!(is_own, "{target}: {}", answer.text());
    }
    let missing = as_key(api, &keys[1], Request::get("/messages/0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20")).await;
    let foreign = as_key(api, &keys[1], Request::get(format!("/messages/{foreign}"))).await;
    assert_eq!((missing.status, &missing.body), (foreign.status, &foreign.body), "as if it were not there");
    let named = format!("/messages/{}?user_id=1", messages[1]);
    as_key(api, &keys[1], Request::get(&named)).await.error(403, "forbidden");
    as_key(api, &platform, Request::get(&named)).await.error(404, "not_found");
    let as_other = json!({"text": "x", "recipients": ["111"], "from": "SHOP1"});
    as_key(api, &keys[1], Request::post("/messages/send", &as_other))
        .await
        .invalid("from is not registered for this customer");
    let spends = Request::post("/messages/send", &message(1, &["111"]));
    as_key(api, &keys[1], spends).await.error(403, "forbidden");
    let own = as_key(api, &keys[1], Request::get("/messages/history")).await.ok();
    assert_eq!(list(&own, "history").len(), 2, "without user_id a customer's own");
    let all = as_key(api, &platform, Request::get("/messages/history")).await.ok();
    assert_eq!(list(&all, "history").len(), 4, "the platform sees all");
}

pub(crate) async fn an_open_gateway_counts_who_has_no_key_yet(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let key = api.make_key(Some(1), &["read"]).await;
    let before = api.metrics().await;
    let count = |scrape: &crate::support::metrics::Scrape| {
        [
            scrape.sum("requests_unauthenticated_total", &[]),
            scrape.sum("authentications_total", &[("result", "key")]),
            scrape.sum("authentications_total", &[("result", "malformed")]),
        ]
    };
    api.call(reads()).await.ok();
    as_key(api, &key, reads()).await.ok();
    api.call(reads().with_key("garbage")).await.error(401, "unauthorized");
    let after = api.metrics().await;
    // Other tests of this process count too.
    for (after, before) in count(&after).into_iter().zip(count(&before)) {
        assert!(after > before, "{after} after {before}");
    }
}
