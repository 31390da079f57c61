//! A client of the REST API, as a business would write one.

use std::{sync::Arc, time::Duration};

use reqwest::{Response, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_support::wait_until;
use uuid::Uuid;

/// Longer than the gateway ever takes to answer; a request without an answer by then has none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may stay without a clear answer while everything runs.
pub(crate) const CLEAR_ANSWER: Duration = Duration::from_mins(1);
/// What every message says.
pub(crate) const TEXT: &str = "hello";
/// Pages are small, so that cursors are followed.
const PAGE: usize = 50;

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Express,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Express => "express",
        }
    }

    /// Of one recipient; the platform is started with these prices.
    pub(crate) fn price(self) -> i64 {
        match self {
            Self::Normal => 2,
            Self::Express => 5,
        }
    }
}

/// A request to send, with the key under which it may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submission {
    pub(crate) key: String,
    pub(crate) user: i64,
    pub(crate) kind: Kind,
    pub(crate) recipients: Vec<String>,
    /// The trace that the client says it belongs to.
    pub(crate) traceparent: Option<String>,
    /// What it says.
    pub(crate) text: String,
    /// How many times the price of one each recipient costs: the segments of the text, where they are paid for.
    pub(crate) segments: i64,
}

impl Submission {
    pub(crate) fn new(user: i64, kind: Kind, recipients: &[&str]) -> Self {
        let recipients = recipients.iter().map(|&recipient| recipient.to_owned()).collect();
        let (key, text) = (Uuid::now_v7().to_string(), TEXT.to_owned());
        Self { key, user, kind, recipients, traceparent: None, text, segments: 1 }
    }

    pub(crate) fn price(&self) -> i64 {
        self.unit_price() * i64::try_from(self.recipients.len()).expect("few recipients")
    }

    /// Of one recipient.
    pub(crate) fn unit_price(&self) -> i64 {
        self.kind.price() * self.segments
    }
}

/// A request to add credits, with the key under which it may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopUp {
    pub(crate) key: String,
    pub(crate) user: i64,
    pub(crate) amount: i64,
}

impl TopUp {
    pub(crate) fn new(user: i64, amount: i64) -> Self {
        Self { key: Uuid::now_v7().to_string(), user, amount }
    }
}

/// What the client knows of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done; the identifier is the message's or the transaction's.
    Accepted { id: String, replayed: bool },
    /// Certainly not done.
    Refused { status: u16, error: String },
    /// No answer, or one that leaves open whether it was done: to be asked again with the same key.
    Unknown { reason: String },
}

/// One recipient of a message, as `GET /messages/history` shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct HistoryRow {
    pub(crate) message_identifier: String,
    pub(crate) recipient: String,
    pub(crate) user_id: i64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) provider: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

/// One row of the ledger, as `GET /balance` shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct LedgerRow {
    #[serde(rename = "transaction_id")]
    pub(crate) id: String,
    pub(crate) amount: i64,
    #[serde(rename = "transaction_type")]
    pub(crate) kind: String,
    pub(crate) created_at: String,
}

/// A balance with all its transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) transactions: Vec<LedgerRow>,
}

#[derive(Deserialize)]
struct HistoryPage {
    history: Vec<HistoryRow>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct BalancePage {
    balance: i64,
    transactions: Vec<LedgerRow>,
    next_cursor: Option<String>,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// The API key, where it has one.
    key: Option<String>,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub(crate) fn new(base: String) -> Self {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .tls_backend_preconfigured(no_tls())
            .no_proxy()
            .build()
            .expect("a plain HTTP client");
        Self { http, base, key: None }
    }

    /// The same with this API key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// Any request with a JSON body, or none; the answer must be JSON, or empty.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let request = self.authorized(self.http.request(method, format!("{}{path}", self.base)));
        let request = body.into_iter().fold(request, reqwest::RequestBuilder::json);
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        self.key.iter().fold(request, reqwest::RequestBuilder::bearer_auth)
    }

    pub(crate) async fn send(&self, submission: &Submission) -> Answer {
        let Submission { key, user, kind, recipients, traceparent, text, segments: _ } = submission;
        let body = json!({ "customer_id": user, "text": text, "recipients": recipients, "type": kind.as_str() });
        self.post("/messages/send", key, traceparent.as_deref(), &body, "message_identifier").await
    }

    pub(crate) async fn top_up(&self, top_up: &TopUp) -> Answer {
        let TopUp { key, user, amount } = top_up;
        let body = json!({ "user_id": user, "balance": amount, "description": "top-up" });
        self.post("/balance/add", key, None, &body, "transaction_id").await
    }

    /// The status and the JSON body of a page; `None` when there was no answer.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, Value)> {
        let response = self.authorized(self.http.get(format!("{}{path}", self.base))).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    /// Everything that the history lists for this query (`user_id=1&status=done`), newest first.
    pub(crate) async fn history(&self, query: &str) -> Vec<HistoryRow> {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let page: HistoryPage = self.page("/messages/history", query, cursor.as_deref()).await;
            rows.extend(page.history);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return rows;
            }
        }
    }

    pub(crate) async fn balance(&self, user: i64) -> Account {
        let (mut balance, mut transactions, mut cursor) = (None, Vec::new(), None);
        loop {
            let page: BalancePage = self.page("/balance", &format!("user_id={user}"), cursor.as_deref()).await;
            assert!(balance.is_none_or(|before| before == page.balance), "the balance of {user} moved between pages");
            balance = Some(page.balance);
            transactions.extend(page.transactions);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Account { balance: page.balance, transactions };
            }
        }
    }

    async fn page<T: DeserializeOwned>(&self, path: &str, query: &str, cursor: Option<&str>) -> T {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let url = format!("{path}?limit={PAGE}&{query}{cursor}");
        // A machine that stands still for a second makes the gateway answer 503, which says nothing about the data.
        let answer = async || self.get(&url).await.filter(|(status, _)| *status != 503);
        let (status, body) = wait_until(CLEAR_ANSWER, &format!("an answer to GET {url}"), answer).await;
        assert_eq!(status, 200, "GET {url}: {body}");
        serde_json::from_value(body).unwrap_or_else(|error| panic!("GET {url}: {error}"))
    }

    async fn post(&self, path: &str, key: &str, traceparent: Option<&str>, body: &Value, id: &str) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).header("Idempotency-Key", key).json(body);
        let mut request = self.authorized(request);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        match request.send().await {
            Ok(response) => judge(response, id).await,
            Err(error) => Answer::Unknown { reason: error.without_url().to_string() },
        }
    }
}

async fn judge(response: Response, id: &str) -> Answer {
    let status = response.status();
    let replayed = response.headers().contains_key("Idempotency-Replay");
    let body: Value = match response.json().await {
        Ok(body) => body,
        Err(error) => return Answer::Unknown { reason: format!("{status}, then {error}") },
    };
    match (status, body[id].as_str()) {
        (StatusCode::OK, Some(id)) => Answer::Accepted { id: id.to_owned(), replayed },
        (StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
            Answer::Unknown { reason: format!("{} {}", status.as_u16(), body["error"].as_str().unwrap_or_default()) }
        }
        _ => Answer::Refused { status: status.as_u16(), error: body["error"].as_str().unwrap_or_default().to_owned() },
    }
}

/// reqwest always sets TLS up, and would fail on a machine without root certificates.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
