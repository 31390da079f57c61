//! Balances to spend.

use anyhow::{Context as _, bail};
use sqlx::{Connection as _, MySqlConnection, QueryBuilder};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{Client, Target};

/// Users of one transaction.
const CHUNK: u32 = 500;
/// Connections to the API.
const CONNECTIONS: u32 = 16;

/// Adds `amount` credits to the balances of users 1 to `users`, each with its ledger row.
///
/// # Errors
/// When the database refuses.
pub async fn seed_database(connection: &mut MySqlConnection, users: u32, amount: i64) -> anyhow::Result<()> {
    for first in (1..=users).step_by(CHUNK as usize) {
        let chunk: Vec<i64> = (first..=users.min(first + (CHUNK - 1))).map(i64::from).collect();
        let mut tx = connection.begin().await?;
        QueryBuilder::new("INSERT INTO user_balances (user_id, balance) ")
            .push_values(&chunk, |mut row, user| {
                row.push_bind(*user).push_bind(amount);
            })
            .push(" ON DUPLICATE KEY UPDATE balance = balance + VALUES(balance)")
            .build()
            .execute(&mut *tx)
            .await
            .context("seeding balances; is the schema there?")?;
        QueryBuilder::new(
            "INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id) ",
        )
        .push_values(&chunk, |mut row, user| {
            row.push_bind(*user)
                .push_bind(amount)
                .push_bind("deposit")
                .push_bind("seed")
                .push_bind(Uuid::now_v7().to_string());
        })
        .build()
        .execute(&mut *tx)
        .await
        .context("seeding the ledger")?;
        tx.commit().await?;
    }
    Ok(())
}

/// Adds `amount` credits to the balances of users 1 to `users` through `POST /balance/add`.
///
/// # Errors
/// At the first top-up that is not answered with 200. The API's rate limit may be the reason.
pub async fn seed_http(target: &Target, users: u32, amount: i64) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    for connection in 1..=CONNECTIONS {
        let mut client = Client::new(target.clone());
        connections.spawn(async move {
            for user in (connection..=users).step_by(CONNECTIONS as usize) {
                top_up(&mut client, user, amount).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended.context("a connection's task panicked")??;
    }
    Ok(())
}

async fn top_up(client: &mut Client, user: u32, amount: i64) -> anyhow::Result<()> {
    let body = format!(r#"{{"user_id":{user},"balance":{amount},"description":"seed"}}"#);
    match client.post("/balance/add", body).await {
        Ok(reply) if reply.is_success() => Ok(()),
        Ok(reply) => bail!("user {user}: {} {}", reply.status, String::from_utf8_lossy(&reply.body)),
        Err(error) => bail!("user {user}: no answer ({})", error.as_str()),
    }
}
