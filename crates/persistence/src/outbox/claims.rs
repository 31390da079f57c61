//! Claims under a lease, and what becomes of what was claimed.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{CarriedMessage, EventKind, Invalid, Lane, OutboxStatus};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, TryGetableFromJson,
    sea_query::{Expr, LockBehavior, LockType, SimpleExpr},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::rows::{out_of_line, waiting_in};
use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx,
        statements::{null_text, null_time, padded},
        transaction,
    },
    entity::outbox_event::{Column, Entity},
};

/// Proof of a claim: every change of a claimed row names it, so a claimer whose lease ran out changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimToken(String);

impl ClaimToken {
    /// A token nobody else has.
    pub fn unique() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A row of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboxEventId(pub(super) i64);

impl OutboxEventId {
    /// The id of a row.
    pub fn from_stored(id: i64) -> Self {
        Self(id)
    }

    pub(super) fn stored(self) -> i64 {
        self.0
    }
}

/// What a claimed event holds.
#[derive(Debug, Clone)]
pub enum EventContent {
    /// A message to publish.
    Message(CarriedMessage),
    /// It is of a kind that this release knows, and cannot be read.
    Unreadable(Invalid),
    /// It is of a kind that only a newer release knows: not this one's to publish, nor to give up.
    UnknownKind(String),
}

/// An event under our lease.
#[derive(Debug, Clone)]
pub struct ClaimedEvent {
    /// The row.
    pub id: OutboxEventId,
    /// The message the event is about (`aggregate_id`).
    pub message_id: String,
    /// What to publish, or why that cannot be done.
    pub content: EventContent,
    /// Failed tries so far.
    pub attempts: u32,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// When the request was accepted.
    pub created_at: DateTime<Utc>,
}

impl Database {
    /// Claims the waiting events of a lane whose turn it is, at most `limit`, for the time of `lease`.
    pub async fn claim_events(
        &self,
        lane: Lane,
        limit: u64,
        lease: Duration,
        token: &ClaimToken,
    ) -> Result<Vec<ClaimedEvent>, Error> {
        transaction!(self, Query::OutboxClaim, |tx| claim(tx, lane, limit, lease, token)).await
    }

    /// Records that the broker confirmed these events. Returns how many were still ours.
    pub async fn mark_processed(&self, ids: &[OutboxEventId], token: &ClaimToken) -> Result<u64, Error> {
        let change = [
            (Column::Status, Expr::value(OutboxStatus::Processed.as_str())),
            // Since when: by this the search for stuck messages and the purge come to it.
            (Column::NextRunAt, self.dialect().now()),
        ];
        self.finish_claim(Query::OutboxProcessed, ids, token, change).await
    }

    /// Gives claimed events back untouched, without using up a try. Returns how many were still ours.
    pub async fn release_events(&self, ids: &[OutboxEventId], token: &ClaimToken) -> Result<u64, Error> {
        let change = [(Column::Status, Expr::value(OutboxStatus::Pending.as_str()))];
        self.finish_claim(Query::OutboxRelease, ids, token, change).await
    }

    /// Puts a claimed event off after a failed try: it waits for `delay` and remembers why.
    pub async fn retry_event_later(
        &self,
        id: OutboxEventId,
        token: &ClaimToken,
        delay: Duration,
        error: &str,
    ) -> Result<u64, Error> {
        let change = [
            (Column::Status, Expr::value(OutboxStatus::Pending.as_str())),
            (Column::NextRunAt, self.dialect().after(delay)),
            (Column::LastError, Expr::value(shortened(error))),
            (Column::Attempts, Expr::col(Column::Attempts).add(1)),
        ];
        self.finish_claim(Query::OutboxRetry, &[id], token, change).await
    }

    /// Puts claimed events off for `delay` that are of a kind which this release does not know. That uses up no try; until
    /// they are promoted they count as nothing that waits. Returns how many were still ours.
    pub async fn put_off_unknown(
        &self,
        ids: &[OutboxEventId],
        token: &ClaimToken,
        delay: Duration,
    ) -> Result<u64, Error> {
        let change = [
            (Column::Status, Expr::value(OutboxStatus::Pending.as_str())),
            (Column::NextRunAt, self.dialect().after(delay)),
            (Column::Turn, out_of_line()),
        ];
        self.finish_claim(Query::OutboxPutOff, ids, token, change).await
    }

    async fn finish_claim<const N: usize>(
        &self,
        query: Query,
        ids: &[OutboxEventId],
        token: &ClaimToken,
        change: [(Column, SimpleExpr); N],
    ) -> Result<u64, Error> {
        if ids.is_empty() {
            return Ok(0);
        }
        transaction!(self, query, |tx| async {
            let mut update = Entity::update_many()
                .col_expr(Column::ClaimedBy, null_text())
                .col_expr(Column::ClaimedUntil, null_time())
                .col_expr(Column::UpdatedAt, tx.dialect().now());
            for (column, value) in change.clone() {
                update = update.col_expr(column, value);
            }
            let updated = update
                .filter(Column::Id.is_in(padded(ids.iter().map(|id| id.0))))
                .filter(Column::Status.eq(OutboxStatus::Processing.as_str()))
                .filter(Column::ClaimedBy.eq(token.as_str()))
                .exec(tx)
                .await?;
            Ok(updated.rows_affected)
        })
        .await
    }
}

async fn claim(
    tx: &Tx,
    lane: Lane,
    limit: u64,
    lease: Duration,
    token: &ClaimToken,
) -> Result<Vec<ClaimedEvent>, StepError> {
    let rows = next_in_turn(tx, lane, limit).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(OutboxStatus::Processing.as_str()))
        .col_expr(Column::ClaimedBy, Expr::value(token.as_str()))
        .col_expr(Column::ClaimedUntil, tx.dialect().after(lease))
        .col_expr(Column::UpdatedAt, tx.dialect().now())
        .filter(Column::Id.is_in(padded(rows.iter().map(|row| row.id))))
        .exec(tx)
        .await?;
    Ok(rows.into_iter().map(claimed).collect())
}

/// What a claim reads of an event.
#[derive(FromQueryResult)]
pub(super) struct Claimable {
    id: i64,
    aggregate_id: String,
    event_type: String,
    payload: JsonText,
    attempts: i32,
    traceparent: Option<String>,
    created_at: NaiveDateTime,
}

/// A column of JSON as the text that it is, of which no tree of values is built.
#[derive(Deserialize)]
#[serde(transparent)]
struct JsonText(Box<RawValue>);

impl TryGetableFromJson for JsonText {}

/// Locks the waiting events of a lane whose turn it is, leaving out those that somebody else is at.
pub(super) async fn next_in_turn(tx: &Tx, lane: Lane, limit: u64) -> Result<Vec<Claimable>, StepError> {
    use Column::{AggregateId, Attempts, CreatedAt, EventType, Id, Payload, Traceparent};
    let rows = waiting_in(lane)
        .select_only()
        .columns([Id, AggregateId, EventType, Payload, Attempts, Traceparent, CreatedAt])
        .order_by_asc(Column::Turn)
        .order_by_asc(Id)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_model::<Claimable>()
        .all(tx)
        .await?;
    Ok(rows)
}

pub(super) fn claimed(row: Claimable) -> ClaimedEvent {
    let content = match EventKind::parse(&row.event_type) {
        None => EventContent::UnknownKind(row.event_type),
        Some(EventKind::Send) => match CarriedMessage::from_json(&row.payload.0) {
            Ok(message) => EventContent::Message(message),
            Err(reason) => EventContent::Unreadable(reason),
        },
    };
    ClaimedEvent {
        id: OutboxEventId(row.id),
        message_id: row.aggregate_id,
        content,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        traceparent: row.traceparent,
        created_at: row.created_at.and_utc(),
    }
}

/// `last_error` is for people: its beginning will do.
pub(super) fn shortened(error: &str) -> String {
    error.chars().take(500).collect()
}
