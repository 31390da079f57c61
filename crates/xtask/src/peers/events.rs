//! What a customer is told by callbacks.

use domain::{ApiKey, KeyKind};
use loadtest::Client;
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use serde::Deserialize;
use serde_json::{Value, json};
use test_support::free_port;

use super::platform::{Platform, get, post};

/// A key for `ADMIN_API_KEY`.
pub(super) fn admin_key() -> String {
    ApiKey::generate(KeyKind::Platform, &mut UnwrapErr(SysRng)).expose().to_owned()
}

/// A customer that wants to be told of deliveries. Nothing listens at its endpoint: what it is to be told is read from
/// the list of its events.
pub(super) struct Told {
    pub(super) customer: i64,
    client: Client,
}

impl Told {
    /// A new one.
    pub(super) async fn join(platform: &mut Platform, admin_key: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Made {
            key: String,
        }
        let customer = platform.customer().await?;
        let wanted = json!({"name": "peers", "customer_id": customer, "scopes": ["callbacks"]});
        let mut admin = Client::new(platform.target().with_key(admin_key)?);
        let made: Made = post(&mut admin, "/admin/keys", &wanted).await?;
        let mut client = Client::new(platform.target().with_key(&made.key)?);
        let endpoint = json!({"url": format!("http://127.0.0.1:{}/", free_port()), "events": ["message.delivered"]});
        let _endpoint: Value = post(&mut client, "/callbacks/endpoints", &endpoint).await?;
        Ok(Self { customer, client })
    }

    /// How often it is, or was, to be told of a delivery to this recipient.
    pub(super) async fn deliveries(&mut self, recipient: &str) -> anyhow::Result<usize> {
        #[derive(Deserialize)]
        struct Page {
            events: Vec<Event>,
        }
        #[derive(Deserialize)]
        struct Event {
            payload: Value,
        }
        let page: Page = get(&mut self.client, "/callbacks/events?limit=100").await?;
        Ok(page.events.iter().filter(|event| event.payload["data"]["recipient"] == recipient).count())
    }
}
