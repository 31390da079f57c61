//! Cancelling a message that waits for its time: recorded with its refund, once.

use domain::{CallbackType, EventKind, LedgerKind, MessageId, MessageStatus, OutboxStatus, status::SCHEDULED};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select,
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

/// What became of it, and the credits given back now. Only what waits for its time is locked: nobody waits for an event that is being
/// published, nor for another customer's.
async fn cancel(tx: &Tx, reader: Reader, id: &MessageId, watched: &Watched) -> Result<(Cancel, i64), StepError> {
    let event: Option<(i64, String)> = event_of(id).into_tuple().one(tx).await?;
    let rows = of(reader, id).all(tx).await?;
    if rows.is_empty() {
        return Ok((Cancel::NotFound, 0));
    }
    let is_scheduled = |event: &(i64, String)| event.1 == OutboxStatus::Scheduled.as_str();
    if event.is_none_or(|event| !is_scheduled(&event)) {
        return Ok((ended(&rows), 0));
    }
    // The event first, as whoever promotes it does: who has it decides.
    let event: Option<(i64, String)> = event_of(id).lock(LockType::Update).into_tuple().one(tx).await?;
    let rows = of(reader, id).lock(LockType::Update).all(tx).await?;
    let Some((event, _)) = event.filter(is_scheduled) else { return Ok((ended(&rows), 0)) };
    give_up(tx, event).await?;
    let waiting: Vec<_> = rows.iter().filter(|row| row.status == SCHEDULED).collect();
    fail(tx, &waiting).await?;
    emit(tx, watched, Change::of_rows(&waiting, CallbackType::Cancelled)).await?;
    let refunded = refund(tx, &waiting).await?;
    Ok((Cancel::Cancelled(cancelled(&rows)), refunded))
}

fn cancelled(rows: &[Model]) -> Cancelled {
    Cancelled { recipients: rows.len(), refunded: rows.iter().filter_map(|row| row.price).sum() }
}

/// What is told of a message that does not wait: whether it was cancelled before. An operator may name its errors in the same way, but only
/// of what it has taken.
fn ended(rows: &[Model]) -> Cancel {
    let was_cancelled = |row: &Model| {
        row.status.eq_ignore_ascii_case(MessageStatus::Failed.as_str())
            && row.provider.is_empty()
            && row.error_code.as_deref() == Some(CANCELLED)
    };
    if rows.iter().all(was_cancelled) { Cancel::Cancelled(cancelled(rows)) } else { Cancel::OnItsWay }
}

fn event_of(id: &MessageId) -> Select<outbox_event::Entity> {
    outbox_event::Entity::find()
        .select_only()
        .columns([Outbox::Id, Outbox::Status])
        .filter(Outbox::AggregateId.eq(id.as_str()))
        .filter(Outbox::EventType.eq(EventKind::Send.as_str()))
}

/// The message's rows.
fn of(reader: Reader, id: &MessageId) -> Select<Entity> {
    let query = Entity::find().filter(Column::MessageIdentifier.eq(id.as_str()));
    match reader.customer() {
        Some(customer) => query.filter(Column::UserId.eq(customer.get())),
        None => query,
    }
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
