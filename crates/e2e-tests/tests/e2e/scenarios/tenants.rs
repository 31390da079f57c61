//! Customers with keys, and messages that are paid for by their segments.

use std::time::Duration;

use operator_simulator::{Behaviour, Mode};
use serde_json::{Value, json};
use test_support::{ServiceProcess, binary, wait_until};

use crate::{
    client::{Client, Kind, Submission},
    collector::Collector,
    platform::{SETTLED, Setup},
};

/// A key that is made up for tests, of the form that keys have.
pub(crate) const ADMIN_KEY: &str = "mpa_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ16kT6G";
/// The same for a customer, which nobody has made.
const UNKNOWN: &str = "mpk_0123456789abcdefghijABCDEFGHIJ011PgylC";

pub(crate) async fn make_key(admin: &Client, customer: Option<i64>, scopes: &[&str]) -> (String, String) {
    let body = json!({ "name": "a test's", "customer_id": customer, "scopes": scopes });
    let (status, made) = admin.ask("POST", "/admin/keys", Some(&body)).await;
    assert_eq!(status, 201, "{made}");
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    (text("id"), text("key"))
}

/// Every key that was shown or tried, and nothing of it anywhere but in the one answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_business_sends_with_its_key_and_the_key_is_found_nowhere() {
    let collector = Collector::start();
    let mut platform = Setup::new()
        .set("RUST_LOG", "trace")
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address())
        .set_for("api-gateway", "AUTH_REQUIRED", "true")
        .set_for("api-gateway", "ADMIN_API_KEY", ADMIN_KEY)
        .set_for("delivery-worker", "DEFAULT_SENDER", "PLATFORM")
        .start()
        .await;
    let open = platform.client.clone();
    assert_eq!(open.ask("GET", "/balance?user_id=1", None).await.0, 401);
    assert_eq!(open.with_key(UNKNOWN).ask("GET", "/balance?user_id=1", None).await.0, 401);
    let admin = open.with_key(ADMIN_KEY);
    let (_, platform_key) = make_key(&admin, None, &["topup", "read", "send"]).await;
    let (tenant_id, tenant_key) = make_key(&admin, Some(1), &["send", "read"]).await;
    // From here on the platform's own, which sees all.
    platform.client = open.with_key(&platform_key);
    platform.top_up(1, 100).await;

    let tenant = open.with_key(&tenant_key);
    let body =
        json!({ "text": "Your code is 4711", "recipients": ["+98101"], "from": "BANK", "client_reference": "order-1" });
    let (status, sent) = tenant.ask("POST", "/messages/send", Some(&body)).await;
    assert_eq!((status, &sent["encoding"], &sent["price"]), (200, &json!("gsm7"), &json!(2)), "{sent}");
    let path = format!("/messages/{}", sent["message_identifier"].as_str().expect("an id"));
    let delivered = async || {
        let (_, found) = tenant.ask("GET", &path, None).await;
        (found["recipients"][0]["status"] == "done").then_some(found)
    };
    let found = wait_until(SETTLED, "the message is done", delivered).await;
    let called = &found["recipients"][0]["operator_messages"][0];
    assert_eq!(called["operator"], "operatorA");
    assert!(called["provider_message_id"].as_str().is_some_and(|id| !id.is_empty()), "{found}");
    let (_, other) = make_key(&admin, Some(2), &["read"]).await;
    assert_eq!(open.with_key(&other).ask("GET", &path, None).await.0, 404);

    let revoke = format!("/admin/keys/{tenant_id}");
    assert_eq!(admin.ask("DELETE", &revoke, None).await.0, 204);
    let refused = async || (tenant.ask("GET", "/balance", None).await.0 == 401).then_some(());
    wait_until(Duration::from_secs(20), "the revoked key is refused", refused).await;

    let (_, listed) = admin.ask("GET", "/admin/keys", None).await;
    let (_, denied) = open.with_key("garbage").ask("GET", "/balance", None).await;
    let (_, metrics) = platform.gateway.get("/metrics").await.expect("metrics");
    // It records the last use of its keys, and sends the last of its traces.
    assert!(platform.gateway.terminate().await.success());
    assert_eq!(platform.tables.used_api_keys().await, 3, "all but the bootstrap key, which is not stored");
    let keys = [ADMIN_KEY, UNKNOWN, &platform_key, &tenant_key, &other];
    let mut outputs = vec![platform.tables.api_keys().await, metrics, collector.everything()];
    outputs.extend([listed, denied].map(|answer| answer.to_string()));
    outputs.extend([&platform.gateway, &platform.relays[0], &platform.workers[0]].map(ServiceProcess::output));
    for output in outputs {
        assert!(!output.is_empty());
        for key in keys {
            // Neither the key nor the part of it that is secret.
            assert!(!output.contains(&key[4..36]), "a key is in an output:\n{output}");
        }
    }
    let lines = platform.gateway.output();
    assert!(lines.contains(&tenant_id), "logs name the key by its id");
}

/// Whatever becomes of a worker, each recipient that fails gives back what it cost: all its segments, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_gives_back_all_its_segments_once() {
    // One operator: another may accept after a crash what the first refuses.
    let setup = Setup::new().operators(&["operatorA"]).set_for("api-gateway", "PRICE_UNIT", "segment");
    let mut platform = setup.start().await;
    let rejecting = Behaviour::default().with_suffix("2", Mode::Reject { code: 422 });
    platform.simulator.set_behaviour("operatorA", rejecting).expect("valid");
    platform.top_up(1, 10_000).await;
    let mut sent = 0;
    for (text, segments) in
        [("x".repeat(160), 1), ("x".repeat(161), 2), ("\u{627}".repeat(135), 3), ("[".repeat(154), 3)]
    {
        for kind in [Kind::Normal, Kind::Express] {
            let recipients: Vec<_> = (1..=20).map(|number| format!("+98{number:03}")).collect();
            let submission = Submission { text: text.clone(), segments, recipients, ..Submission::new(1, kind, &[]) };
            platform.send_as(submission).await;
            sent += 1;
            if sent == 4 {
                platform.workers[0].kill();
                platform.workers[0].start();
            }
        }
    }
    platform.wait_all_terminal().await;
    let failed = platform.client.history("user_id=1&status=failed").await;
    assert_eq!(failed.len(), 8 * 2, "those that end in 2: {failed:?}");
    // The end of every scenario compares each refund with what its recipient cost.
    platform.finish().await;
}

/// `null` is what a field says that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_told_what_a_request_said_and_no_more() {
    let mut platform = Setup::new().start().await;
    platform.top_up(1, 100).await;
    let plain = platform.send(1, Kind::Normal, &["+98101"]).await;
    let body = json!({ "customer_id": 1, "text": "\u{627}".repeat(71), "recipients": ["+98102"], "from": "BANK" });
    let (status, sent) = platform.client.ask("POST", "/messages/send", Some(&body)).await;
    assert_eq!((status, &sent["encoding"], &sent["segments"]), (200, &json!("ucs2"), &json!(2)), "{sent}");
    platform.wait_all_terminal().await;
    let told = |recipient: &str| {
        let entry =
            platform.simulator.journal().into_iter().find(|entry| entry.recipient == recipient).expect("was asked");
        (entry.from, entry.encoding, entry.segments)
    };
    assert_eq!(told("+98101"), (None, None, None), "{plain}");
    assert_eq!(told("+98102"), (Some("BANK".to_owned()), Some("ucs2".to_owned()), Some(2)));
    let (_, found) = platform.client.ask("GET", &format!("/messages/{plain}"), None).await;
    assert_ne!(found["recipients"][0]["operator_messages"], Value::Null);
    drop(platform);
}

/// Who starts the platform where keys are needed gets one, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_shows_its_first_key_once() {
    let folder = tempfile::tempdir().expect("a folder for the database file");
    let url = format!("sqlite://{}", folder.path().join("platform.sqlite").display());
    let env = [("DATABASE_URL", url.as_str()), ("AUTH_REQUIRED", "true")];
    let mut service = ServiceProcess::new(binary("standalone"), "LISTEN_ADDR", env);
    service.start();
    service.ready().await;
    let shown = |service: &ServiceProcess| {
        let output = service.output();
        let line =
            output.lines().find_map(|line| line.trim().strip_prefix("First key").map(|key| key.trim().to_owned()));
        (line, output)
    };
    let greeted = async || shown(&service).0;
    let key = wait_until(SETTLED, "a greeting with a key", greeted).await;
    let client = Client::new(service.base_url());
    assert_eq!(client.ask("GET", "/balance?user_id=1", None).await.0, 401);
    let client = client.with_key(&key);
    let body = json!({ "user_id": 1, "balance": 10 });
    assert_eq!(client.ask("POST", "/balance/add", Some(&body)).await.0, 200);
    let (_, tenant) = make_key(&client, Some(1), &["read"]).await;
    assert!(service.terminate().await.success());
    service.start();
    service.ready().await;
    assert_eq!(client.ask("GET", "/balance?user_id=1", None).await.1["balance"], json!(10));
    assert_eq!(client.with_key(&tenant).ask("GET", "/balance", None).await.0, 200);
    assert_eq!(shown(&service).1.matches(&key).count(), shown(&service).1.matches("First key").count() * 2);
}
