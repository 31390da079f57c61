//! The database's own speed limit: the rows of a message's life written by a bare client, without HTTP and broker.

mod rows;
mod steps;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use persistence::AcceptRequest;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, MySqlConnection};
use tokio::task::JoinSet;
use url::Url;

use crate::{Load, Traffic, accepted::Requests, message::Destinations};
use rows::accept;
use steps::{Taken, publish, write_states};

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

/// Takes batches of messages of this load through all their states, on several connections, for `duration`. Three
/// transactions a batch, as in the services: accept; hold events and record them as published; record the batch before
/// as done and take this one.
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
        let connection = MySqlConnection::connect(database_url).await.context("connecting to the database")?;
        // As the services' connections have it.
        Url::parse(database_url)?.port().into_iter().for_each(persistence::tcp_nodelay_to);
        // Batches of different connections have different customers, as the gateway's lanes do.
        let firsts = (0..).map(move |round: u64| (round * connections as u64 + lane) * batch);
        let requests = Requests::new(traffic, Destinations::default());
        running.spawn(run(connection, requests, firsts, batch, start + duration));
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

/// What one connection does until `end`: batches that begin at these requests.
async fn run(
    mut connection: MySqlConnection,
    mut requests: Requests,
    firsts: impl Iterator<Item = u64>,
    batch: u64,
    end: Instant,
) -> anyhow::Result<Done> {
    sqlx::query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").execute(&mut connection).await?;
    let (mut done, mut before) = (Done::default(), Taken::default());
    for first in firsts.take_while(|_| Instant::now() < end) {
        let accepted =
            (first..first + batch).map(|index| requests.make(index)).collect::<anyhow::Result<Vec<AcceptRequest>>>()?;
        retried!(done, accept_batch(&mut connection, &accepted))?;
        let published = retried!(done, publish(&mut connection, batch))?;
        let taken = retried!(done, write_states(&mut connection, &before, published.clone()))?;
        done.recipients += std::mem::replace(&mut before, taken).recipients;
    }
    retried!(done, write_states(&mut connection, &before, Vec::new()))?;
    done.recipients += before.recipients;
    Ok(done)
}

async fn accept_batch(connection: &mut MySqlConnection, batch: &[AcceptRequest]) -> anyhow::Result<()> {
    let mut tx = connection.begin().await?;
    accept(&mut tx, batch).await?;
    Ok(tx.commit().await?)
}

fn is_deadlock(error: &anyhow::Error) -> bool {
    let of_database = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    let of_mysql = of_database.and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>());
    of_mysql.is_some_and(|error| error.number() == DEADLOCK)
}
