//! The database's own speed limit: the rows of a message's life written by a bare client, without HTTP and broker.

mod rows;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::OutboxPayload;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, MySqlConnection, QueryBuilder};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Load, Traffic,
    message::{Destinations, message},
};
use rows::{accept, push_list};

/// Recipients of one batch, about.
const BATCH: u32 = 200;
/// InnoDB's error for a transaction it rolled back to end a deadlock.
const DEADLOCK: u16 = 1213;

/// What the bare client reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Recipients a second whose rows went all the way.
    pub per_second: f64,
    /// Connections in parallel.
    pub connections: usize,
    /// Batches rolled back by a deadlock and done again.
    pub deadlocks: u64,
}

/// Does a transaction again until no deadlock ends it. A macro: closures that borrow give no `Send` futures.
macro_rules! retried {
    ($done:expr, $transaction:expr) => {
        loop {
            match $transaction.await.map_err(anyhow::Error::from) {
                Err(error) if is_deadlock(&error) => $done.deadlocks += 1,
                result => break result,
            }
        }
    };
}

#[derive(Default)]
struct Done {
    recipients: u64,
    deadlocks: u64,
}

/// Takes batches of messages of this load through all their states, on several connections, for `duration`: accept,
/// claim, record as published, take, record as done. Each is a transaction, as in the services.
///
/// # Errors
/// When the database refuses, or a user has no balance.
pub async fn measure_floor(
    database_url: &str,
    load: &Load,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Floor> {
    // One lane only: a claim takes from one lane.
    let traffic = Traffic::of(&Load { express_ratio: 0.0, ..*load });
    let batch = u64::from((BATCH / load.recipients).max(1));
    let start = Instant::now();
    let mut running = JoinSet::new();
    for lane in 0..connections as u64 {
        let mut connection = MySqlConnection::connect(database_url).await.context("connecting to the database")?;
        let (lanes, to) = (connections as u64, Destinations::default());
        running.spawn(async move {
            sqlx::query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").execute(&mut connection).await?;
            let mut done = Done::default();
            for round in 0u64.. {
                if start.elapsed() >= duration {
                    break;
                }
                // Batches of different connections have different customers, as the gateway's lanes do.
                let first = (round * lanes + lane) * batch;
                let payloads = (first..first + batch)
                    .map(|index| message(&traffic, index, &to))
                    .collect::<anyhow::Result<Vec<_>>>()?;
                retried!(done, accept_batch(&mut connection, &payloads))?;
                finish_some(&mut connection, batch, &mut done).await?;
            }
            anyhow::Ok(done)
        });
    }
    let mut total = Done::default();
    while let Some(ended) = running.join_next().await {
        let done = ended.context("a connection's task panicked")?.context("measuring the floor")?;
        total.recipients += done.recipients;
        total.deadlocks += done.deadlocks;
    }
    let per_second = total.recipients as f64 / start.elapsed().as_secs_f64();
    Ok(Floor { per_second, connections, deadlocks: total.deadlocks })
}

/// Claims a batch of waiting events and takes its messages to the end.
async fn finish_some(connection: &mut MySqlConnection, batch: u64, done: &mut Done) -> anyhow::Result<()> {
    let token = Uuid::now_v7().to_string();
    let events = retried!(done, claim(connection, batch, &token))?;
    if events.is_empty() {
        return Ok(());
    }
    retried!(done, record(connection, &events, &token))?;
    let rows = retried!(done, take(connection, &events, &token))?;
    retried!(done, settle(connection, &rows))?;
    done.recipients += rows.len() as u64;
    Ok(())
}

async fn accept_batch(connection: &mut MySqlConnection, payloads: &[OutboxPayload]) -> anyhow::Result<()> {
    let mut tx = connection.begin().await?;
    accept(&mut tx, payloads).await?;
    Ok(tx.commit().await?)
}

async fn claim(connection: &mut MySqlConnection, batch: u64, token: &str) -> sqlx::Result<Vec<(i64, String)>> {
    let mut tx = connection.begin().await?;
    // The index is the order. As text: MySQL has a type of its own for JSON, MariaDB calls it bytes.
    let waiting = "SELECT id, aggregate_id, CAST(payload AS CHAR) FROM outbox_events FORCE INDEX (idx_outbox_claim) \
         WHERE status = 'pending' AND lane = 0 AND next_run_at IS NULL LIMIT ? FOR UPDATE SKIP LOCKED";
    let events: Vec<(i64, String, String)> = sqlx::query_as(waiting).bind(batch).fetch_all(&mut *tx).await?;
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut update = QueryBuilder::new("UPDATE outbox_events SET status = 'processing', claimed_by = ");
    update.push_bind(token.to_owned());
    update.push(", claimed_until = UTC_TIMESTAMP(6) + INTERVAL 30 SECOND, updated_at = UTC_TIMESTAMP(6) WHERE id IN ");
    push_list(&mut update, events.iter().map(|(id, ..)| id));
    update.build().execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(events.into_iter().map(|(id, message, _)| (id, message)).collect())
}

async fn record(connection: &mut MySqlConnection, events: &[(i64, String)], token: &str) -> sqlx::Result<()> {
    let mut processed = QueryBuilder::new(
        "UPDATE outbox_events SET claimed_by = NULL, claimed_until = NULL, updated_at = UTC_TIMESTAMP(6), status = 'processed' WHERE id IN ",
    );
    push_list(&mut processed, events.iter().map(|(id, _)| id));
    processed.push(" AND status = 'processing' AND claimed_by = ").push_bind(token.to_owned());
    processed.build().execute(connection).await?;
    Ok(())
}

async fn take(connection: &mut MySqlConnection, events: &[(i64, String)], token: &str) -> sqlx::Result<Vec<i64>> {
    let mut tx = connection.begin().await?;
    let mut lock = QueryBuilder::new("SELECT id FROM message_status WHERE message_identifier IN ");
    push_list(&mut lock, events.iter().map(|(_, message)| message));
    let rows: Vec<i64> = lock.push(" FOR UPDATE").build_query_scalar().fetch_all(&mut *tx).await?;
    let mut update = QueryBuilder::new("UPDATE message_status SET status = 'sending', claimed_by = ");
    update.push_bind(token.to_owned());
    update.push(", claimed_until = UTC_TIMESTAMP(6) + INTERVAL 30 SECOND, updated_at = UTC_TIMESTAMP(6) WHERE id IN ");
    push_list(&mut update, &rows);
    update.build().execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(rows)
}

async fn settle(connection: &mut MySqlConnection, rows: &[i64]) -> sqlx::Result<()> {
    let mut tx = connection.begin().await?;
    let mut lock = QueryBuilder::new("SELECT id, status, claimed_by FROM message_status WHERE id IN ");
    push_list(&mut lock, rows);
    lock.push(" ORDER BY id FOR UPDATE").build().fetch_all(&mut *tx).await?;
    let mut update = QueryBuilder::new(
        "UPDATE message_status SET status = 'done', provider = 'floor', claimed_by = NULL, claimed_until = NULL, updated_at = UTC_TIMESTAMP(6) WHERE id IN ",
    );
    push_list(&mut update, rows);
    update.build().execute(&mut *tx).await?;
    tx.commit().await
}

fn is_deadlock(error: &anyhow::Error) -> bool {
    let of_database = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    let of_mysql = of_database.and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>());
    of_mysql.is_some_and(|error| error.number() == DEADLOCK)
}
