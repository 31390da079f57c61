//! All three services in one process, and what they say over the REST API.

use std::{path::Path, process::ExitStatus};

use anyhow::{Context, ensure};
use loadtest::{Client, Scrape, Target};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::ServiceProcess;

/// How many seconds a receipt is waited for; the SMSCs send theirs within a tenth of one.
const RECEIPT_TIMEOUT_SECS: &str = "5";
/// Credits of each customer.
const BALANCE: i64 = 1_000;

/// The process, on a database file of its own; both are gone when this is dropped.
pub(super) struct Platform {
    process: ServiceProcess,
    client: Client,
    _folder: TempDir,
    customers: i64,
}

/// A message to be sent.
pub(super) struct Draft<'a> {
    pub(super) recipient: String,
    pub(super) text: &'a str,
    pub(super) from: Option<&'a str>,
    pub(super) validity_seconds: Option<u32>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(recipient: String, text: &'a str) -> Self {
        Self { recipient, text, from: None, validity_seconds: None }
    }
}

/// A message that was accepted, for one recipient.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) customer: i64,
    pub(super) recipient: String,
}

impl Platform {
    /// Starts it and waits until it is ready; sessions may not be bound yet.
    ///
    /// # Errors
    /// When it is not within a minute, or the process ends.
    pub(super) async fn start(standalone: &Path, operators: &str, admin_key: &str) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("peers-").context("making a folder for the database")?;
        let database_url = format!("sqlite://{}", folder.path().join("peers.sqlite").display());
        let env = [
            ("DATABASE_URL", database_url.as_str()),
            ("OPERATORS", operators),
            ("RECEIPT_TIMEOUT_SECS", RECEIPT_TIMEOUT_SECS),
            ("ADMIN_API_KEY", admin_key),
            ("CALLBACK_ALLOW_HTTP", "true"),
            ("CALLBACK_ALLOW_NETS", "127.0.0.0/8"),
            ("GLOBAL_RATE_LIMIT_RPS", "0"),
            ("USER_RATE_LIMIT_RPS", "0"),
            ("RUST_LOG", "info"),
        ];
        let mut process = ServiceProcess::new(standalone.to_owned(), "LISTEN_ADDR", env);
        process.start();
        process.answers("/readyz").await?;
        let client = Client::new(Target::local(process.address().port()));
        Ok(Self { process, client, _folder: folder, customers: 0 })
    }

    /// Where its API is.
    pub(super) fn target(&self) -> Target {
        Target::local(self.process.address().port())
    }

    /// A new customer, who has credits.
    pub(super) async fn customer(&mut self) -> anyhow::Result<i64> {
        self.customers += 1;
        let top_up = json!({"user_id": self.customers, "balance": BALANCE, "description": "peers"});
        let _answer: Value = post(&mut self.client, "/balance/add", &top_up).await?;
        Ok(self.customers)
    }

    /// Sends a message of a customer.
    pub(super) async fn send(&mut self, customer: i64, draft: &Draft<'_>) -> anyhow::Result<Message> {
        #[derive(Deserialize)]
        struct Accepted {
            message_identifier: String,
        }
        let Draft { recipient, text, from, validity_seconds } = draft;
        let mut body = json!({"customer_id": customer, "text": text, "recipients": [recipient], "type": "express"});
        let given =
            [from.map(|from| ("from", json!(from))), validity_seconds.map(|secs| ("validity_seconds", json!(secs)))];
        for (name, value) in given.into_iter().flatten() {
            body[name] = value;
        }
        let accepted: Accepted = post(&mut self.client, "/messages/send", &body).await?;
        Ok(Message { id: accepted.message_identifier, customer, recipient: recipient.clone() })
    }

    /// What has become of a message: status, delivery status (`-` for none) and refunds of its customer.
    pub(super) async fn fate(&mut self, message: &Message) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Overview {
            recipients: [Recipient; 1],
        }
        #[derive(Deserialize)]
        struct Recipient {
            status: String,
            delivery_status: Option<String>,
        }
        let Message { id, customer, .. } = message;
        let overview: Overview = get(&mut self.client, &format!("/messages/{id}?user_id={customer}")).await?;
        let [Recipient { status, delivery_status }] = overview.recipients;
        let refunds = self.refunds(*customer).await?;
        Ok(format!("{status}/{}/{refunds}", delivery_status.as_deref().unwrap_or("-")))
    }

    async fn refunds(&mut self, customer: i64) -> anyhow::Result<usize> {
        #[derive(Deserialize)]
        struct Account {
            transactions: Vec<Transaction>,
        }
        #[derive(Deserialize)]
        struct Transaction {
            transaction_type: String,
        }
        let account: Account = get(&mut self.client, &format!("/balance?user_id={customer}&limit=100")).await?;
        Ok(account.transactions.iter().filter(|change| change.transaction_type == "corrective").count())
    }

    /// A series of the only operator, by its name and further label; 0 where there is none.
    pub(super) async fn metric(&self, name: &str, label: Option<(&str, &str)>) -> anyhow::Result<u64> {
        let page = self.process.get("/metrics").await.filter(|(status, _)| *status == 200);
        let (_, page) = page.context("the platform gives no metrics")?;
        let label = label.map(|(label, value)| format!(",{label}=\"{value}\"")).unwrap_or_default();
        let value = Scrape::parse(&page).value(&format!("{name}{{operator=\"peer\"{label}}}")).unwrap_or(0.0);
        // Those that are looked at count.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        Ok(value as u64)
    }

    /// Status and body of `/readyz`.
    pub(super) async fn readiness(&self) -> anyhow::Result<(u16, String)> {
        self.process.get("/readyz").await.context("the platform does not say how it is")
    }

    /// What it has written until now.
    pub(super) fn output(&self) -> String {
        self.process.output()
    }

    /// Asks with SIGTERM for an orderly end, and waits for it.
    pub(super) async fn terminate(&mut self) -> ExitStatus {
        // The gateway serves on for as long as connections are open.
        self.client = Client::new(self.target());
        self.process.terminate().await
    }
}

/// Asks for a page.
pub(super) async fn get<T: DeserializeOwned>(client: &mut Client, path: &str) -> anyhow::Result<T> {
    let reply = client.get(path).await.map_err(|error| anyhow::anyhow!("GET {path}: {}", error.as_str()))?;
    read(&format!("GET {path}"), &reply)
}

/// Posts JSON.
pub(super) async fn post<T: DeserializeOwned>(client: &mut Client, path: &str, body: &Value) -> anyhow::Result<T> {
    let sent = client.post(path, body.to_string()).await;
    let reply = sent.map_err(|error| anyhow::anyhow!("POST {path}: {}", error.as_str()))?;
    read(&format!("POST {path}"), &reply)
}

fn read<T: DeserializeOwned>(what: &str, reply: &loadtest::Reply) -> anyhow::Result<T> {
    let body = String::from_utf8_lossy(&reply.body);
    ensure!(reply.is_success(), "{what} was answered {}: {body}", reply.status);
    serde_json::from_slice(&reply.body).with_context(|| format!("{what} was answered {body}"))
}
