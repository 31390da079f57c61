//! Messages that wait to be published, as a gateway leaves them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use domain::{FairOrder, Lane, OutboxPayload, PerLane, Turn};
use persistence::{AcceptOutcome, AcceptRequest};
use uuid::Uuid;

use crate::{
    Traffic,
    message::{Destinations, message, unit_price},
    store,
};

/// Messages of one transaction.
const BATCH: u64 = 500;

/// Stores `count` accepted messages of `traffic` that wait to be published. Their users must have the balance.
///
/// # Errors
/// When the database refuses, or a user cannot pay.
pub async fn insert_waiting(
    database_url: &str,
    traffic: &Traffic,
    count: u64,
    to: &Destinations,
) -> anyhow::Result<()> {
    let database = store::open(database_url, 1).await?;
    let mut turns = Turns::new();
    for first in (0..count).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let batch = (first..count.min(first + BATCH))
            .map(|index| Ok(request(message(traffic, index, to)?, &mut turns)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let outcomes = database.accept(&batch).await.context("storing waiting messages")?;
        let all_paid = outcomes.iter().all(|outcome| matches!(outcome, AcceptOutcome::Accepted(_)));
        ensure!(all_paid, "a user cannot pay: seed first");
    }
    database.close().await;
    Ok(())
}

fn request(payload: OutboxPayload, turns: &mut Turns) -> AcceptRequest {
    AcceptRequest {
        unit_price: unit_price(payload.message.kind),
        idempotency: None,
        traceparent: Some(traceparent()),
        turn: turns.take(&payload),
        payload,
    }
}

/// The turns that a gateway would give.
struct Turns(PerLane<FairOrder>);

impl Turns {
    #[expect(clippy::disallowed_methods, reason = "the turns of a gateway begin at its clock")]
    fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Turn::at(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        Self(PerLane::from_fn(|_| FairOrder::starting_at(now)))
    }

    fn take(&mut self, payload: &OutboxPayload) -> Turn {
        let message = &payload.message;
        self.0[Lane::of(message.kind)].take(message.customer_id, &message.recipients)
    }
}

/// Of a trace of its own.
fn traceparent() -> String {
    let span = Uuid::now_v7().simple().to_string();
    format!("00-{}-{}-01", Uuid::now_v7().simple(), &span[16..])
}
