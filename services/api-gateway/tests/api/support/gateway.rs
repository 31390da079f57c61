//! A running gateway, and shorthands for what tests ask of it.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use test_support::wait_until;

use super::{Answer, Connection, Request, metrics::Scrape};

/// A gateway that listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
}

impl Gateway {
    /// One request on a connection of its own.
    pub(crate) async fn call_once(&self, request: &Request) -> Answer {
        Connection::open(self.address).await.exchange(request).await
    }

    /// The same, asked again where the database missed its second: the machine may be busy with other tests.
    pub(crate) async fn call(&self, request: Request) -> Answer {
        for _ in 0..5 {
            let answer = self.call_once(&request).await;
            if !answer.is_unavailable() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.call_once(&request).await
    }

    /// As a careful client does it: after 409 and 503 it asks again, with the same key.
    pub(crate) async fn call_until_available(&self, request: Request) -> Answer {
        // A plain loop: futures of async closures cannot be shown to be `Send`, and this one is spawned.
        for _ in 0..600 {
            let answer = self.call_once(&request).await;
            if ![409, 503].contains(&answer.status) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the gateway does not answer for good: {request:?}");
    }

    pub(crate) async fn get(&self, target: impl Into<String>) -> Answer {
        self.call(Request::get(target)).await
    }

    /// `POST /messages/send`
    pub(crate) async fn send(&self, body: &Value) -> Answer {
        self.call(Request::post("/messages/send", body)).await
    }

    /// The same with an `Idempotency-Key`.
    pub(crate) async fn send_with_key(&self, body: &Value, key: &str) -> Answer {
        self.call(Request::post("/messages/send", body).key(key)).await
    }

    /// `POST /balance/add`
    pub(crate) async fn top_up(&self, body: &Value) -> Answer {
        self.call(Request::post("/balance/add", body)).await
    }

    /// Gives a customer credits.
    pub(crate) async fn fund(&self, user: i64, credits: i64) {
        self.top_up(&json!({"user_id": user, "balance": credits})).await.ok();
    }

    /// `GET /balance` of a customer.
    pub(crate) async fn account(&self, user: i64) -> Value {
        self.get(format!("/balance?user_id={user}")).await.ok()
    }

    pub(crate) async fn balance(&self, user: i64) -> i64 {
        self.account(user).await["balance"].as_i64().expect("a whole number")
    }

    /// `GET /messages/history` with this query string.
    pub(crate) async fn history(&self, query: &str) -> Value {
        self.get(format!("/messages/history?{query}")).await.ok()
    }

    pub(crate) async fn metrics(&self) -> Scrape {
        Scrape::parse(self.get("/metrics").await.text())
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn ready(&self) {
        let ready = async || (self.get("/readyz").await.status == 200).then_some(());
        wait_until(Duration::from_mins(1), "the gateway is ready", ready).await;
    }

    /// Follows `next_cursor` to the end; gives the pages' entries, which are in the member `entries`.
    pub(crate) async fn walk(&self, target: &str, entries: &str) -> Vec<Vec<Value>> {
        let mut pages = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(format!("{target}&cursor={cursor}")).await.ok();
            pages.push(page[entries].as_array().expect("a list").clone());
            assert!(pages.len() < 1_000, "the pages do not end");
            match &page["next_cursor"] {
                Value::Null => return pages,
                next => next.as_str().expect("a string or null").clone_into(&mut cursor),
            }
        }
    }
}

/// The body of a message to these recipients.
pub(crate) fn message(customer: i64, recipients: &[&str]) -> Value {
    json!({"customer_id": customer, "text": "hi", "recipients": recipients})
}

/// `count` different phone numbers.
pub(crate) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{:08}", 10_000_000 + number)).collect()
}
