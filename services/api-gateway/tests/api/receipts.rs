//! Receipts of operators: who may send them, what of it is taken, and that it changes what it should and nothing else.

use callbacks::{Secret, sign};
use serde_json::{Value, json};

use crate::support::{Answer, Fixture, Gateway, Request, metrics::Scrape};

const SIGNED: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Made up for tests, of the form that tokens have.
pub(crate) const TOKEN: &str = "mpr_aEP9zIeRgg8RqLXOzajjlMHeEc7KSz3Y4DoYHu";
const TOKEN_OF_NOBODY: &str = "mpk_0123456789abcdefghijABCDEFGHIJ011PgylC";
const NUMBER: &str = "+989128582812";

#[expect(clippy::disallowed_methods, reason = "what an operator signs carries its clock's time")]
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A gateway that takes receipts of one operator that signs, and of one that has a token.
async fn taking(f: &Fixture, more: &[(&str, &str)]) -> Gateway {
    let secrets = format!("signs={SIGNED},token={TOKEN}");
    let settings = [("RECEIPT_SECRETS", secrets.as_str())];
    f.gateway(&settings.iter().chain(more).copied().collect::<Vec<_>>()).await
}

fn receipt(id: &str, status: &str) -> Value {
    json!({"provider_message_id": id, "status": status, "recipient": NUMBER, "error_code": "000"})
}

fn to(operator: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::bare("POST", format!("/operators/{operator}/receipts")).body(body)
}

fn with_token(body: &Value) -> Request {
    to("token", body.to_string()).header("Authorization", format!("Bearer {TOKEN}"))
}

/// Signed at `at`; what is sent may be another body.
fn signed(at: i64, signed: &str, sent: &str) -> Request {
    let secret = Secret::parse(SIGNED).expect("a secret");
    to("signs", sent)
        .header("webhook-id", "evt_1")
        .header("webhook-timestamp", at.to_string())
        .header("webhook-signature", sign(&[secret], "evt_1", at, signed.as_bytes()))
}

impl Gateway {
    /// A message that this operator took under an id.
    async fn taken(&self, f: &Fixture, operator: &str, id: &str) -> String {
        let message = self.send(&json!({"customer_id": 1, "text": "hi", "recipients": [NUMBER]})).await.accepted();
        let mut sql = f.sql().await;
        let of_message = format!("WHERE message_identifier = '{message}'");
        sql.execute(&format!("UPDATE message_status SET status = 'done', provider = '{operator}' {of_message}")).await;
        let kept = format!(
            "INSERT INTO operator_messages (operator, provider_id, message_row)
             SELECT '{operator}', '{id}', id FROM message_status {of_message}"
        );
        sql.execute(&kept).await;
        sql.close().await;
        message
    }

    /// `status delivery_status error_code` of a message's only recipient.
    async fn end_of(&self, message: &str) -> String {
        let found = self.get(format!("/messages/{message}")).await.ok();
        let text = |member: &str| found["recipients"][0][member].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text("status"), text("delivery_status"), text("error_code"))
    }
}

#[track_caller]
fn taken(answer: &Answer, receipts: u64) {
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.json(), json!({"accepted": receipts}));
}

pub(crate) async fn receipts_are_taken_of_who_shows_the_operators_secret(f: &Fixture) {
    let api = taking(f, &[("AUTH_REQUIRED", "false")]).await;
    api.fund(1, 100).await;
    let (first, second) = (api.taken(f, "signs", "a-1").await, api.taken(f, "token", "b-1").await);
    let body = receipt("A-1", "DELIVRD").to_string();
    taken(&api.call(signed(now(), &body, &body)).await, 1);
    let list = json!([receipt("b-1", "enroute"), receipt("b-1", "UNDELIV"), receipt("nobodys", "delivered")]);
    taken(&api.call(with_token(&list)).await, 3);
    assert_eq!(api.end_of(&first).await, "done delivered 000");
    assert_eq!(api.end_of(&second).await, "done undelivered 000");
    let listed = api.get("/messages/history?user_id=1&delivery_status=undelivered").await.ok();
    assert_eq!(listed["history"].as_array().map(Vec::len), Some(1), "{listed}");
    // Sent again, as after a lost answer: taken, and nothing changes.
    taken(&api.call(signed(now(), &body, &body)).await, 1);
    taken(&api.call(with_token(&list)).await, 3);
    assert_eq!(f.sql().await.number("SELECT COUNT(*) FROM receipts").await, 4);
    assert_eq!(api.get("/balance?user_id=1").await.ok()["balance"], json!(98), "receipts move no money");
    let scrape = Scrape::parse(api.get("/metrics").await.text());
    let count = |state| scrape.sum("receipts_total", &[("operator", "token"), ("state", state)]);
    assert!((count("undelivered") - 1.0).abs() < 0.1 && (count("delivered") - 1.0).abs() < 0.1);
}

pub(crate) async fn what_is_forged_stale_or_nobodys_changes_nothing(f: &Fixture) {
    let api = taking(f, &[("AUTH_REQUIRED", "true")]).await;
    let body = receipt("a-1", "delivered").to_string();
    let other = receipt("a-1", "expired").to_string();
    let bearer = |token: &str| to("token", body.clone()).header("Authorization", format!("Bearer {token}"));
    let refused = [
        to("signs", body.clone()),
        to("token", body.clone()),
        signed(now(), &other, &body),
        signed(now() - 301, &body, &body),
        signed(now() + 301, &body, &body),
        to("signs", body.clone()).header("Authorization", format!("Bearer {TOKEN}")),
        bearer(TOKEN_OF_NOBODY),
        bearer("garbage"),
        to("token", body.clone()).header("Authorization", TOKEN),
        bearer(TOKEN).header("Authorization", format!("Bearer {TOKEN}")),
        // The secret of the one says nothing of the other.
        signed(now(), &body, &body).target("/operators/token/receipts"),
    ];
    for request in refused {
        let answer = api.call(request).await;
        let message = answer.error(401, "unauthorized");
        assert!(message.starts_with("Sign the request"), "{message}");
        assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer realm=\"messaging-platform\""));
    }
    for nobody in ["other", "signs%20", "a.b"] {
        api.call(to(nobody, body.clone())).await.error(404, "not_found");
    }
    let get = Request::bare("GET", "/operators/signs/receipts");
    assert_eq!(api.call(get).await.status, 405);
    let mut sql = f.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM receipts").await, 0);
    let scrape = Scrape::parse(api.get("/metrics").await.text());
    let refused =
        |operator, result| scrape.sum("receipts_refused_total", &[("operator", operator), ("result", result)]);
    assert!(refused("signs", "stale") > 1.0 && refused("signs", "unauthorized") > 2.0, "{scrape:?}");
    // An operator's token opens nothing else.
    api.call(Request::get("/balance?user_id=1").with_key(TOKEN)).await.error(401, "unauthorized");
}

pub(crate) async fn receipts_that_say_something_wrong_are_refused_as_a_whole(f: &Fixture) {
    let api = taking(f, &[]).await;
    let mut many = vec![receipt("x", "delivered"); 1_001];
    for wrong in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"provider_message_id": "x"}),
        json!({"status": "delivered"}),
        receipt("x", "lost"),
        receipt("", "delivered"),
        json!([receipt("x", "delivered"), receipt("y", "gone")]),
        json!({"provider_message_id": "x", "status": "delivered", "part": 0}),
        json!({"provider_message_id": "x", "status": "delivered", "part": 256}),
        json!({"provider_message_id": "x", "status": "delivered", "recipient": "BANK"}),
        json!(many),
    ] {
        let answer = api.call(with_token(&wrong)).await;
        answer.error(400, "invalid_input");
    }
    let large = json!({"provider_message_id": "x", "status": "delivered", "text": "x".repeat(1024 * 1024)});
    api.call(with_token(&large)).await.error(413, "payload_too_large");
    assert_eq!(f.sql().await.number("SELECT COUNT(*) FROM receipts").await, 0);
    many.truncate(1_000);
    for (place, receipt) in many.iter_mut().enumerate() {
        receipt["provider_message_id"] = json!(format!("x-{place}"));
        receipt["text"] = json!("what the operator quotes of the message");
    }
    let answer = api.call(with_token(&json!(many))).await;
    taken(&answer, 1_000);
    let mut sql = f.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM receipts").await, 1_000);
    assert_eq!(sql.number("SELECT COUNT(*) FROM receipts WHERE matched_row IS NULL").await, 1_000);
}

pub(crate) async fn receipts_have_a_limit_of_their_own(f: &Fixture) {
    let limits = [("GLOBAL_RATE_LIMIT_RPS", "1"), ("GLOBAL_RATE_LIMIT_BURST", "1"), ("RECEIPT_RATE_LIMIT_RPS", "3")];
    let api = taking(f, &limits).await;
    let mut limited = 0;
    for n in 0..20 {
        let answer = api.call_once(&to(["nobody", "token", "signs"][n % 3], "{}")).await;
        match answer.status {
            401 | 404 => {}
            429 => {
                answer.error(429, "rate_limit_exceeded");
                limited += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert!((1..=17).contains(&limited), "{limited}: more than the global limit lets through, and not all");
    // Who is no operator takes nothing from those who are.
    let answer = api.call_once(&with_token(&receipt("x-1", "delivered"))).await;
    taken(&answer, 1);
    let more = async |n: usize| api.call_once(&with_token(&receipt(&format!("x-{n}"), "delivered"))).await.status;
    let mut own = Vec::new();
    for n in 0..20 {
        own.push(more(n).await);
    }
    assert!(own.contains(&202) && own.contains(&429), "{own:?}");
    let scrape = Scrape::parse(api.get("/metrics").await.text());
    assert!(scrape.sum("rate_limited_requests_total", &[("scope", "receipts")]) > 0.5);
}
