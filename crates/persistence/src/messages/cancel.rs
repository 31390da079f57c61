//! Cancelling a message that waits for its time: recorded with its refund, once.

use domain::{CallbackType, EventKind, LedgerKind, MessageId, OutboxStatus, status::SCHEDULED};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use crate::{
    Database, Error, Query, Reader,
    callbacks::{Change, emit},
    engine::{StepError, Tx, sql::Sql, transaction},
    entity::{
        message_status::{Column, Entity, Model},
        outbox_event::{self, Column as Outbox},
    },
    money::{credits, refund::refund},
    watched::Watched,
};

/// `error_code` of what was cancelled.
const CANCELLED: &str = "cancelled";

/// What became of a wish to cancel a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It will not be sent.
    Cancelled(Cancelled),
    /// Its time had come: it is on its way, or has ended.
    OnItsWay,
    /// There is none that the reader may see.
    NotFound,
}

/// A message that will not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled {
    /// To how many.
    pub recipients: usize,
    /// What was given back for them.
    pub refunded: i64,
}

impl Database {
    /// Cancels a message that still waits for its time, and gives back what was charged. To do it again changes nothing and is
    /// answered in the same way.
    pub async fn cancel(&self, reader: Reader, id: &MessageId) -> Result<Cancel, Error> {
        let watched = self.watch_list().known();
        let (cancel, refunded) = transaction!(self, Query::Cancel, |tx| cancel(tx, reader, id, &watched)).await?;
        credits::count(LedgerKind::Corrective, refunded);
        Ok(cancel)
    }
}

/// What became of it, and the credits given back now.
async fn cancel(tx: &Tx, reader: Reader, id: &MessageId, watched: &Watched) -> Result<(Cancel, i64), StepError> {
    // The event first, as whoever promotes it does: who has it decides.
    let event: Option<(i64, String)> = outbox_event::Entity::find()
        .select_only()
        .columns([Outbox::Id, Outbox::Status])
        .filter(Outbox::AggregateId.eq(id.as_str()))
        .filter(Outbox::EventType.eq(EventKind::Send.as_str()))
        .lock(LockType::Update)
        .into_tuple()
        .one(tx)
        .await?;
    let rows = of(tx, reader, id).await?;
    if rows.is_empty() {
        return Ok((Cancel::NotFound, 0));
    }
    let is_scheduled = event.as_ref().is_some_and(|(_, status)| status == OutboxStatus::Scheduled.as_str());
    let cancelled = Cancelled { recipients: rows.len(), refunded: rows.iter().filter_map(|row| row.price).sum() };
    match event {
        Some((event, _)) if is_scheduled => {
            give_up(tx, event).await?;
            let waiting: Vec<_> = rows.iter().filter(|row| row.status == SCHEDULED).collect();
            fail(tx, &waiting).await?;
            emit(tx, watched, Change::of_rows(&waiting, CallbackType::Cancelled)).await?;
            let refunded = refund(tx, &waiting).await?;
            Ok((Cancel::Cancelled(cancelled), refunded))
        }
        _ if rows.iter().all(|row| row.error_code.as_deref() == Some(CANCELLED)) => {
            Ok((Cancel::Cancelled(cancelled), 0))
        }
        _ => Ok((Cancel::OnItsWay, 0)),
    }
}

/// The message's rows, locked.
async fn of(tx: &Tx, reader: Reader, id: &MessageId) -> Result<Vec<Model>, StepError> {
    let mut query = Entity::find().filter(Column::MessageIdentifier.eq(id.as_str()));
    if let Some(customer) = reader.customer() {
        query = query.filter(Column::UserId.eq(customer.get()));
    }
    Ok(query.lock(LockType::Update).all(tx).await?)
}

async fn give_up(tx: &Tx, event: i64) -> Result<(), StepError> {
    outbox_event::Entity::update_many()
        .col_expr(Outbox::Status, Expr::value(OutboxStatus::Failed.as_str()))
        .col_expr(Outbox::NextRunAt, tx.dialect().now())
        .col_expr(Outbox::LastError, Expr::value(CANCELLED))
        .col_expr(Outbox::UpdatedAt, tx.dialect().now())
        .filter(Outbox::Id.eq(event))
        .exec(tx)
        .await?;
    Ok(())
}

async fn fail(tx: &Tx, rows: &[&Model]) -> Result<(), StepError> {
    let now = tx.dialect().now_text();
    let text = format!("UPDATE message_status SET status = 'failed', error_code = ?, updated_at = {now} WHERE id IN ");
    Sql::new(text, [CANCELLED.into()]).list(rows.iter().map(|row| row.id.into())).execute(tx).await?;
    Ok(())
}
