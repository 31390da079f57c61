//! Claims under a lease, and what becomes of what was claimed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Invalid, Lane, OutboxPayload, OutboxStatus, event};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType, SimpleExpr},
};
use uuid::Uuid;

use super::rows::waiting_in;
use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx,
        statements::{null_text, null_time, padded},
        transaction,
    },
    entity::outbox_event::{Column, Entity, Model},
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

/// An event under our lease.
#[derive(Debug, Clone)]
pub struct ClaimedEvent {
    /// The row.
    pub id: i64,
    /// The message the event is about (`aggregate_id`).
    pub message_id: String,
    /// What to publish, or why it cannot be read.
    pub payload: Result<OutboxPayload, Invalid>,
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
    pub async fn mark_processed(&self, ids: &[i64], token: &ClaimToken) -> Result<u64, Error> {
        let change = [(Column::Status, Expr::value(OutboxStatus::Processed.as_str()))];
        self.finish_claim(Query::OutboxProcessed, ids, token, change).await
    }

    /// Gives claimed events back untouched, without using up a try. Returns how many were still ours.
    pub async fn release_events(&self, ids: &[i64], token: &ClaimToken) -> Result<u64, Error> {
        let change = [(Column::Status, Expr::value(OutboxStatus::Pending.as_str()))];
        self.finish_claim(Query::OutboxRelease, ids, token, change).await
    }

    /// Puts a claimed event off after a failed try: it waits for `delay` and remembers why.
    pub async fn retry_event_later(
        &self,
        id: i64,
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

    async fn finish_claim<const N: usize>(
        &self,
        query: Query,
        ids: &[i64],
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
                .filter(Column::Id.is_in(padded(ids.iter().copied())))
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
    let rows = waiting_in(lane)
        .order_by_asc(Column::Turn)
        .order_by_asc(Column::Id)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
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

fn claimed(row: Model) -> ClaimedEvent {
    let payload = if row.event_type == event::EVENT_TYPE_SEND {
        OutboxPayload::from_json(row.payload)
    } else {
        Err(Invalid::new("event_type", format!("must be {}", event::EVENT_TYPE_SEND)))
    };
    ClaimedEvent {
        id: row.id,
        message_id: row.aggregate_id,
        payload,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        traceparent: row.traceparent,
        created_at: row.created_at.and_utc(),
    }
}

/// `last_error` is for people: its beginning will do.
pub(super) fn shortened(error: &str) -> String {
    error.chars().take(500).collect()
}
