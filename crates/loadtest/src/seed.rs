//! Balances to spend.

use anyhow::{Context as _, bail};
use domain::{CustomerId, TopUpAmount, TransactionId};
use persistence::{Database, TopUpOutcome, TopUpRequest};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{Client, Target, store};

/// Top-ups at the same time, each over a connection of its own.
const AT_ONCE: u32 = 16;

/// Adds `amount` credits, at most 10^12, to the balances of users 1 to `users`, each with its ledger row.
///
/// # Errors
/// When the database refuses, or a balance would pass its limit.
pub async fn seed_database(database_url: &str, users: u32, amount: i64) -> anyhow::Result<()> {
    let amount = TopUpAmount::parse(amount)?;
    let database = store::open(database_url, AT_ONCE).await?;
    let mut running = JoinSet::new();
    for first in 1..=AT_ONCE {
        let database = database.clone();
        running.spawn(async move {
            for user in (first..=users).step_by(AT_ONCE as usize) {
                top_up(&database, user, amount).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context("a seeding task panicked")?.context("seeding balances; is the schema there?")?;
    }
    database.close().await;
    Ok(())
}

async fn top_up(database: &Database, user: u32, amount: TopUpAmount) -> anyhow::Result<()> {
    let request = TopUpRequest {
        customer: CustomerId::try_from(i64::from(user))?,
        amount,
        description: Some("seed".to_owned()),
        transaction_id: TransactionId::from_uuid(Uuid::now_v7()),
        idempotency: None,
    };
    match database.top_up(&request).await? {
        TopUpOutcome::Added(..) => Ok(()),
        other => bail!("user {user}: {other:?}"),
    }
}

/// Adds `amount` credits to the balances of users 1 to `users` through `POST /balance/add`.
///
/// # Errors
/// At the first top-up that is not answered with 200. The API's rate limit may be the reason.
pub async fn seed_http(target: &Target, users: u32, amount: i64) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    for connection in 1..=AT_ONCE {
        let mut client = Client::new(target.clone());
        connections.spawn(async move {
            for user in (connection..=users).step_by(AT_ONCE as usize) {
                top_up_http(&mut client, user, amount).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended.context("a connection's task panicked")??;
    }
    Ok(())
}

async fn top_up_http(client: &mut Client, user: u32, amount: i64) -> anyhow::Result<()> {
    let body = format!(r#"{{"user_id":{user},"balance":{amount},"description":"seed"}}"#);
    match client.post("/balance/add", body).await {
        Ok(reply) if reply.is_success() => Ok(()),
        Ok(reply) => bail!("user {user}: {} {}", reply.status, String::from_utf8_lossy(&reply.body)),
        Err(error) => bail!("user {user}: no answer ({})", error.as_str()),
    }
}
