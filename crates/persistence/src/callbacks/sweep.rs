//! What a sweeper does about callbacks: rescue those of relays that ended, end what waited for too long, delete what is old.

use std::time::Duration;

use domain::{CallbackStatus, callback::schedule::MAX_ATTEMPTS};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use crate::{
    Database, Error, Query,
    engine::{StepError, Tx, count_up_to, reading, sql::Sql, statements::padded, transaction},
    entity::{
        callback_attempt,
        callback_event::{Column, Entity},
    },
};

/// Events that one transaction rescues or ends at most.
const SWEPT_TOGETHER: u64 = 500;
/// Rows that one transaction deletes at most.
const DELETED_TOGETHER: u64 = 1_000;
/// What has been due for so long is not sent any more: its endpoint is disabled, or was never up for it.
const WAITS_AT_MOST: Duration = Duration::from_hours(7 * 24);
/// How long ended events and attempts are kept.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// Whether the endpoint of an event was removed.
const IS_ORPHANED: &str = "NOT EXISTS (SELECT 1 FROM callback_endpoints e WHERE e.id = callback_events.endpoint_id)";

impl Database {
    /// Makes events due again whose relay did not record their attempt in time, or ends those that had their last one or whose
    /// endpoint was removed. Returns how many; call again while it is not 0.
    pub async fn rescue_callbacks(&self) -> Result<u64, Error> {
        transaction!(self, Query::CallbackRescue, |tx| async {
            let ids = some(tx, CallbackStatus::Sending, Duration::ZERO, SWEPT_TOGETHER).await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let now = tx.dialect().now_text();
            let values = [
                CallbackStatus::Cancelled.as_str().into(),
                i64::from(MAX_ATTEMPTS).into(),
                CallbackStatus::Failed.as_str().into(),
                CallbackStatus::Pending.as_str().into(),
            ];
            let text = format!(
                "UPDATE callback_events SET status = CASE WHEN {IS_ORPHANED} THEN ? WHEN attempts >= ? THEN ? ELSE ? END, \
                 claimed_by = NULL, claimed_until = NULL, next_run_at = {now} WHERE id IN "
            );
            Sql::new(text, values).list(ids.into_iter().map(Into::into)).execute(tx).await
        })
        .await
    }

    /// Ends some events that have been due for seven days. Returns how many; call again while it is not 0.
    pub async fn expire_callbacks(&self) -> Result<u64, Error> {
        transaction!(self, Query::CallbackExpire, |tx| async {
            let ids = some(tx, CallbackStatus::Pending, WAITS_AT_MOST, SWEPT_TOGETHER).await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let now = tx.dialect().now_text();
            let values = [CallbackStatus::Cancelled.as_str().into(), CallbackStatus::Failed.as_str().into()];
            let text = format!(
                "UPDATE callback_events SET status = CASE WHEN {IS_ORPHANED} THEN ? ELSE ? END, claimed_by = NULL, \
                 claimed_until = NULL, next_run_at = {now} WHERE id IN "
            );
            Sql::new(text, values).list(ids.into_iter().map(Into::into)).execute(tx).await
        })
        .await
    }

    /// Deletes some events that ended thirty days ago, and attempts of that time, of each kind by itself: rows so old are read from disk.
    /// Returns how many; call again while it is not 0.
    pub async fn purge_callbacks(&self) -> Result<u64, Error> {
        let mut deleted = transaction!(self, Query::CallbackPurge, |tx| purge_attempts(tx)).await?;
        for status in [CallbackStatus::Done, CallbackStatus::Failed, CallbackStatus::Cancelled] {
            deleted += transaction!(self, Query::CallbackPurge, |tx| purge_events(tx, status)).await?;
        }
        Ok(deleted)
    }

    /// Counts events that are due, up to `most`; those of paused and disabled endpoints too.
    pub async fn due_callbacks(&self, most: u64) -> Result<u64, Error> {
        reading!(self, Query::CallbackCount, |db| async {
            let rows = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Column::Status.eq(CallbackStatus::Pending.as_str()))
                .filter(Expr::col(Column::NextRunAt).lte(db.dialect().now()));
            count_up_to(db, rows, None, most).await
        })
        .await
    }
}

/// Some events that have been in this state since their time, or for longer, without those that somebody else is at.
async fn some(tx: &Tx, status: CallbackStatus, since: Duration, most: u64) -> Result<Vec<i64>, StepError> {
    let ids = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Status.eq(status.as_str()))
        .filter(Expr::col(Column::NextRunAt).lte(tx.dialect().before(since)))
        .order_by_asc(Column::NextRunAt)
        .order_by_asc(Column::Id)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(ids)
}

async fn purge_events(tx: &Tx, status: CallbackStatus) -> Result<u64, StepError> {
    let ids = some(tx, status, KEPT_FOR, DELETED_TOGETHER).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?.rows_affected)
}

async fn purge_attempts(tx: &Tx) -> Result<u64, StepError> {
    use callback_attempt::{Column, Entity};
    let ids: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Expr::col(Column::At).lt(tx.dialect().before(KEPT_FOR)))
        .order_by_asc(Column::At)
        .limit(DELETED_TOGETHER)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?.rows_affected)
}
