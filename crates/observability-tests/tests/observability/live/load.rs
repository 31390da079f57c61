//! A little traffic that shows everything: sends of both types, top-ups, reads, mistakes, and refusals.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::wait_until;
use tokio::task::JoinSet;

use super::{
    http,
    platform::{BACKLOG_LIMIT, Platform},
};

const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);
const CUSTOMERS: u64 = 20;

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    fn of(platform: &Platform) -> Self {
        Self { http: http::client(), base: platform.gateway.base_url() }
    }

    async fn get(&self, path: &str) -> Option<u16> {
        Some(self.http.get(format!("{}{path}", self.base)).send().await.ok()?.status().as_u16())
    }

    async fn post(&self, path: &str, body: &Value) -> Option<u16> {
        Some(self.http.post(format!("{}{path}", self.base)).json(body).send().await.ok()?.status().as_u16())
    }

    async fn top_up(&self, customer: u64) -> Option<u16> {
        self.post("/balance/add", &json!({ "user_id": customer, "balance": 1_000 })).await
    }

    async fn send(&self, customer: u64, kind: &str, recipients: &[String]) -> Option<u16> {
        let body = json!({ "customer_id": customer, "text": "hi", "type": kind, "recipients": recipients });
        self.post("/messages/send", &body).await
    }
}

/// Traffic in the background, ended with this value.
pub(super) struct Load {
    running: JoinSet<()>,
}

impl Load {
    pub(super) fn start(platform: &Platform) -> Self {
        let client = Client::of(platform);
        let mut running = JoinSet::new();
        running.spawn(async move { run(&client).await });
        Self { running }
    }

    pub(super) async fn stop(mut self) {
        self.running.shutdown().await;
    }
}

async fn run(client: &Client) {
    for round in 0_u64.. {
        let customer = 1 + round % CUSTOMERS;
        let kind = if round.is_multiple_of(3) { "express" } else { "normal" };
        // The last digit decides what the operators answer.
        let recipients: Vec<_> = (0..6).map(|digit| format!("+98{round:07}{digit}")).collect();
        client.top_up(customer).await;
        client.send(customer, kind, &recipients).await;
        client.get(&format!("/messages/history?user_id={customer}")).await;
        client.get(&format!("/balance?user_id={customer}")).await;
        client.get("/no/such/page").await;
        client.post("/messages/send", &json!({ "customer_id": customer })).await;
        client.send(1_000_000, kind, &recipients).await; // has no balance
        tokio::time::sleep(PAUSE).await;
    }
}

/// One customer in a hurry is limited; while no relay publishes, the full outbox has sends refused.
pub(super) async fn provoke_refusals(platform: &mut Platform) {
    let client = Client::of(platform);
    let recipient = ["+9891285280".to_owned()];
    wait_until(PATIENCE, "a rate limit", async || {
        (client.send(2_000_000, "normal", &recipient).await == Some(429)).then_some(())
    })
    .await;
    platform.relay.pause();
    let mut customer = 3_000_000;
    wait_until(PATIENCE, &format!("a refusal above {BACKLOG_LIMIT} waiting events"), async || {
        customer += 1;
        client.top_up(customer).await;
        (client.send(customer, "normal", &recipient).await == Some(503)).then_some(())
    })
    .await;
    platform.relay.resume();
}
