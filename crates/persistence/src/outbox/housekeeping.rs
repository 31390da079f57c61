//! What a sweeper does: rescue expired claims, promote due retries, delete what is old.

use std::time::Duration;

use domain::{EventKind, OutboxStatus};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, LockBehavior, LockType, SimpleExpr},
};

use super::rows::{back_in_line, by_claim_index, out_of_line};
use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx,
        statements::{null_text, null_time, padded},
        transaction,
    },
    entity::{
        idempotency_key,
        outbox_event::{Column, Entity},
    },
    money::idempotency,
};

/// Rows that one round of housekeeping changes at most, so that it never holds many locks.
const HOUSEKEEPING_ROWS: u64 = 500;

/// What became of events that had stepped out of line and whose wait was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// How many can be claimed now.
    pub claimable: u64,
    /// The kinds of those that wait on, one for each event.
    pub unknown_kinds: Vec<String>,
}

impl Database {
    /// Makes events claimable again whose claimer did not finish within its lease. Returns how many.
    pub async fn rescue_expired_claims(&self) -> Result<u64, Error> {
        transaction!(self, Query::OutboxRescue, |tx| async {
            let expired = Expr::col(Column::ClaimedUntil).lt(tx.dialect().now()).or(Column::ClaimedUntil.is_null());
            let ids = lock_some(tx, OutboxStatus::Processing, expired).await?;
            let change = [(Column::ClaimedBy, null_text()), (Column::ClaimedUntil, null_time())];
            make_pending(tx, ids, change).await
        })
        .await
    }

    /// Makes events claimable whose wait is over, but for those that stepped out of line. Returns how many; call again while it is not 0.
    pub async fn promote_due_events(&self) -> Result<u64, Error> {
        transaction!(self, Query::OutboxPromote, |tx| async {
            let due = due(tx).and(Column::Turn.gte(0));
            let ids = lock_some(tx, OutboxStatus::Pending, due).await?;
            make_pending(tx, ids, []).await
        })
        .await
    }

    /// Looks at some events that stepped out of line and whose wait is over: those of a kind that this release knows become claimable
    /// in their old turn, the others wait for `delay` again and never come between anybody's.
    pub async fn promote_out_of_line(&self, delay: Duration) -> Result<Promoted, Error> {
        transaction!(self, Query::OutboxPromote, |tx| promote_out_of_line(tx, delay)).await
    }

    /// Deletes some events published more than `age` ago. Returns how many; call again while it is not 0.
    pub async fn purge_processed_events(&self, age: Duration) -> Result<u64, Error> {
        transaction!(self, Query::OutboxPurge, |tx| async {
            // The event of an unfinished message is what brings it back: it stays, however old. Not `NOT EXISTS`, for which
            // MariaDB reads all messages first.
            let finished = Expr::cust(
                "(SELECT 1 FROM message_status m WHERE m.message_identifier = outbox_events.aggregate_id \
                 AND m.status IN ('pending', 'sending') LIMIT 1) IS NULL",
            );
            let old =
                Column::Lane.is_in([0, 1]).and(Expr::col(Column::NextRunAt).lt(tx.dialect().before(age))).and(finished);
            let ids = lock_some(tx, OutboxStatus::Processed, old).await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let deleted = Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?;
            Ok(deleted.rows_affected)
        })
        .await
    }

    /// Deletes some idempotency keys older than 24 hours. Returns how many; call again while it is not 0.
    pub async fn purge_idempotency_keys(&self) -> Result<u64, Error> {
        use idempotency_key::{Column, Entity};
        transaction!(self, Query::IdempotencyPurge, |tx| async {
            let ids: Vec<i64> = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Expr::col(Column::CreatedAt).lt(tx.dialect().before(idempotency::KEPT_FOR)))
                .order_by_asc(Column::CreatedAt)
                .limit(HOUSEKEEPING_ROWS)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .into_tuple()
                .all(tx)
                .await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let deleted = Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?;
            Ok(deleted.rows_affected)
        })
        .await
    }
}

fn due(tx: &Tx) -> SimpleExpr {
    Column::Lane.is_in([0, 1]).and(Expr::col(Column::NextRunAt).lte(tx.dialect().now()))
}

async fn promote_out_of_line(tx: &Tx, delay: Duration) -> Result<Promoted, StepError> {
    let due = due(tx).and(Column::Turn.lt(0));
    let rows: Vec<(i64, String)> =
        some(OutboxStatus::Pending, due).column(Column::EventType).into_tuple().all(tx).await?;
    let is_known = |(_, kind): &(i64, String)| EventKind::parse(kind).is_some();
    let (known, unknown): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_known);
    let known = known.into_iter().map(|(id, _)| id).collect();
    let claimable = make_pending(tx, known, [(Column::Turn, back_in_line())]).await?;
    let (ids, unknown_kinds): (Vec<_>, Vec<_>) = unknown.into_iter().unzip();
    if !ids.is_empty() {
        Entity::update_many()
            .col_expr(Column::NextRunAt, tx.dialect().after(delay))
            .col_expr(Column::Turn, out_of_line())
            .col_expr(Column::UpdatedAt, tx.dialect().now())
            .filter(Column::Id.is_in(padded(ids)))
            .exec(tx)
            .await?;
    }
    Ok(Promoted { claimable, unknown_kinds })
}

/// Locks a bounded number of rows for housekeeping, leaving out those that somebody else is at.
async fn lock_some(tx: &Tx, status: OutboxStatus, condition: SimpleExpr) -> Result<Vec<i64>, StepError> {
    Ok(some(status, condition).into_tuple().all(tx).await?)
}

fn some(status: OutboxStatus, condition: SimpleExpr) -> Select<Entity> {
    by_claim_index(Entity::find().select_only().column(Column::Id).filter(Column::Status.eq(status.as_str())))
        .filter(condition)
        .limit(HOUSEKEEPING_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
}

/// Makes events claimable at once.
pub(super) async fn make_pending<const N: usize>(
    tx: &Tx,
    ids: Vec<i64>,
    change: [(Column, SimpleExpr); N],
) -> Result<u64, StepError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let mut update = Entity::update_many()
        .col_expr(Column::Status, Expr::value(OutboxStatus::Pending.as_str()))
        .col_expr(Column::NextRunAt, null_time())
        .col_expr(Column::UpdatedAt, tx.dialect().now());
    for (column, value) in change {
        update = update.col_expr(column, value);
    }
    Ok(update.filter(Column::Id.is_in(padded(ids))).exec(tx).await?.rows_affected)
}
