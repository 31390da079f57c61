//! Events that can never be published: recorded, and their messages failed and refunded, in one transaction.

use domain::{CallbackType, EventKind, LedgerKind, MessageStatus, OutboxStatus};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::claims::{ClaimToken, OutboxEventId, shortened};
use crate::{
    Database, Error, Query,
    callbacks::{Change, emit},
    engine::{
        StepError, Tx,
        statements::{null_text, null_time, padded},
        transaction,
    },
    entity::{message_status, outbox_event},
    money::{credits, refund::refund},
    watched::Watched,
};

impl Database {
    /// Gives up a claimed event for good. Its recipients that no worker has taken become `failed` and are
    /// refunded. Returns how many recipients that were, or `None` when the event was no longer ours, or is not about a message to send.
    pub async fn fail_event(&self, id: OutboxEventId, token: &ClaimToken, error: &str) -> Result<Option<u64>, Error> {
        let watched = self.watch_list().known();
        let failed = transaction!(self, Query::OutboxFail, |tx| fail_event(tx, id, token, error, &watched)).await?;
        Ok(failed.map(|(recipients, refunded)| {
            credits::count(LedgerKind::Corrective, refunded);
            recipients
        }))
    }
}

/// The recipients that failed with the event, and the credits given back for them.
async fn fail_event(
    tx: &Tx,
    id: OutboxEventId,
    token: &ClaimToken,
    error: &str,
    watched: &Watched,
) -> Result<Option<(u64, i64)>, StepError> {
    use outbox_event::{Column, Entity};
    let event: Option<(String, i32)> = Entity::find_by_id(id.0)
        .select_only()
        .columns([Column::AggregateId, Column::Attempts])
        // What any other kind means to its message is not ours to say.
        .filter(Column::EventType.eq(EventKind::Send.as_str()))
        .filter(Column::Status.eq(OutboxStatus::Processing.as_str()))
        .filter(Column::ClaimedBy.eq(token.as_str()))
        .lock_exclusive()
        .into_tuple()
        .one(tx)
        .await?;
    let Some((message_id, attempts)) = event else { return Ok(None) };
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(OutboxStatus::Failed.as_str()))
        .col_expr(Column::NextRunAt, tx.dialect().now())
        .col_expr(Column::LastError, Expr::value(shortened(error)))
        .col_expr(Column::Attempts, Expr::value(attempts.saturating_add(1)))
        .col_expr(Column::ClaimedBy, null_text())
        .col_expr(Column::ClaimedUntil, null_time())
        .col_expr(Column::UpdatedAt, tx.dialect().now())
        .filter(Column::Id.eq(id.0))
        .exec(tx)
        .await?;
    fail_pending_recipients(tx, &message_id, watched).await.map(Some)
}

async fn fail_pending_recipients(tx: &Tx, message_id: &str, watched: &Watched) -> Result<(u64, i64), StepError> {
    use message_status::{Column, Entity};
    let rows = Entity::find()
        .filter(Column::MessageIdentifier.eq(message_id))
        .filter(Column::Status.eq(MessageStatus::Pending.as_str()))
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    if rows.is_empty() {
        return Ok((0, 0));
    }
    let failed = Entity::update_many()
        .col_expr(Column::Status, Expr::value(MessageStatus::Failed.as_str()))
        .col_expr(Column::UpdatedAt, tx.dialect().now())
        .filter(Column::Id.is_in(padded(rows.iter().map(|row| row.id))))
        .exec(tx)
        .await?;
    let rows: Vec<_> = rows.iter().collect();
    emit(tx, watched, Change::of_rows(&rows, CallbackType::Failed)).await?;
    let refunded = refund(tx, &rows).await?;
    Ok((failed.rows_affected, refunded))
}
