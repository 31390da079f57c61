//! The search for messages that the broker lost: what was published long ago and is not finished is published again.
//!
//! Events that were published or given up stand in the index of claims in the order of when that was. The search goes along it
//! once: how far it has come is written down, so that neither a restart nor another relay begins anew. What it publishes again
//! comes back to it, for it then stands behind.

use std::time::Duration;

use chrono::NaiveDateTime;
use domain::{EventKind, Lane, MessageStatus, OutboxStatus};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::rows::{by_claim_index, in_lane};
use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx,
        statements::{null_time, padded},
        transaction,
    },
    entity::{
        message_status::{Column as Message, Entity as Messages},
        outbox_event::{Column as Outbox, Entity as Events},
        sweep_progress,
    },
};

/// Events that one transaction of the search looks at.
const PAGE: u64 = 1_000;
/// Transactions of one search in each lane and state; the next one goes on from there.
const PAGES: u32 = 200;

/// A lane and state that is searched by itself, with its name in `sweep_progress`.
struct Task {
    name: &'static str,
    lane: Lane,
    status: OutboxStatus,
}

const TASKS: [Task; 4] = [
    Task { name: "stuck_express", lane: Lane::Express, status: OutboxStatus::Processed },
    Task { name: "stuck_normal", lane: Lane::Normal, status: OutboxStatus::Processed },
    Task { name: "stuck_express_failed", lane: Lane::Express, status: OutboxStatus::Failed },
    Task { name: "stuck_normal_failed", lane: Lane::Normal, status: OutboxStatus::Failed },
];

/// Where an event stands in the index.
#[derive(Debug, Clone, Copy)]
struct Place {
    since: NaiveDateTime,
    turn: i64,
    id: i64,
}

#[derive(FromQueryResult)]
struct Seen {
    id: i64,
    aggregate_id: String,
    next_run_at: NaiveDateTime,
    turn: i64,
}

/// What a transaction of the search did.
struct Page {
    republished: u64,
    /// Where the next one goes on; `None` after the last one.
    next: Option<Place>,
}

impl Database {
    /// Publishes messages again whose event was published or given up more than `age` ago and that are still
    /// unfinished: dead-lettered after too many crashes, lost with a queue, or given up while a worker held them. A copy that is
    /// still queued somewhere does no harm, for the rows decide who sends. Returns how many events will be published again.
    pub async fn republish_stuck(&self, age: Duration) -> Result<u64, Error> {
        let mut republished = 0;
        for task in &TASKS {
            transaction!(self, Query::OutboxRepublish, |tx| note_when(tx, task)).await?;
            let mut after = None;
            for _ in 0..PAGES {
                let page = transaction!(self, Query::OutboxRepublish, |tx| search(tx, task, age, after)).await?;
                republished += page.republished;
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(republished)
    }
}

/// What was set to an end by hand has no time of it: it counts from now on.
async fn note_when(tx: &Tx, task: &Task) -> Result<(), StepError> {
    let ids: Vec<i64> = by_claim_index(in_lane(task.lane, task.status))
        .select_only()
        .column(Outbox::Id)
        .filter(Outbox::NextRunAt.is_null())
        .limit(PAGE)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    if !ids.is_empty() {
        Events::update_many()
            .col_expr(Outbox::NextRunAt, tx.dialect().now())
            .filter(Outbox::Id.is_in(padded(ids)))
            .exec(tx)
            .await?;
    }
    Ok(())
}

async fn search(tx: &Tx, task: &Task, age: Duration, after: Option<Place>) -> Result<Page, StepError> {
    let nothing = Page { republished: 0, next: None };
    // Another relay is at it.
    let Some(done_until) = lock_progress(tx, task).await? else { return Ok(nothing) };
    let seen = ended_before(tx, task, age, after.unwrap_or_else(|| Place::beginning(done_until))).await?;
    let Some(last) = seen.last().map(Seen::place) else { return Ok(nothing) };
    sweep_progress::Entity::update_many()
        .col_expr(sweep_progress::Column::DoneUntil, Expr::value(tx.dialect().time(last.since)))
        .filter(sweep_progress::Column::Task.eq(task.name))
        .exec(tx)
        .await?;
    let is_full = seen.len() as u64 == PAGE;
    let republished = republish(tx, task, seen, age).await?;
    Ok(Page { republished, next: is_full.then_some(last) })
}

async fn lock_progress(tx: &Tx, task: &Task) -> Result<Option<NaiveDateTime>, StepError> {
    use sweep_progress::{Column, Entity};
    let row = Entity::find()
        .filter(Column::Task.eq(task.name))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(tx)
        .await?;
    Ok(row.map(|row| row.done_until))
}

/// A page of events that ended more than `age` ago, from this place on.
async fn ended_before(tx: &Tx, task: &Task, age: Duration, after: Place) -> Result<Vec<Seen>, StepError> {
    let since = || Expr::val(tx.dialect().time(after.since));
    let later = Condition::any()
        .add(Expr::col(Outbox::NextRunAt).gt(since()))
        .add(Outbox::Turn.gt(after.turn))
        .add(Condition::all().add(Outbox::Turn.eq(after.turn)).add(Outbox::Id.gt(after.id)));
    let seen = by_claim_index(in_lane(task.lane, task.status))
        .select_only()
        .columns([Outbox::Id, Outbox::AggregateId, Outbox::NextRunAt, Outbox::Turn])
        .filter(Expr::col(Outbox::NextRunAt).gte(since()))
        .filter(Expr::col(Outbox::NextRunAt).lt(tx.dialect().before(age)))
        .filter(later)
        .order_by_asc(Outbox::NextRunAt)
        .order_by_asc(Outbox::Turn)
        .order_by_asc(Outbox::Id)
        .limit(PAGE)
        .into_model::<Seen>()
        .all(tx)
        .await?;
    Ok(seen)
}

impl Place {
    fn beginning(since: NaiveDateTime) -> Self {
        Self { since, turn: i64::MIN, id: 0 }
    }
}

impl Seen {
    fn place(&self) -> Place {
        Place { since: self.next_run_at, turn: self.turn, id: self.id }
    }
}

/// Makes those events claimable again whose messages are not finished.
async fn republish(tx: &Tx, task: &Task, seen: Vec<Seen>, age: Duration) -> Result<u64, StepError> {
    let unfinished = [MessageStatus::Pending.as_str(), MessageStatus::Sending.as_str()];
    let messages: Vec<String> = Messages::find()
        .select_only()
        .column(Message::MessageIdentifier)
        .distinct()
        .filter(Message::MessageIdentifier.is_in(padded(seen.into_iter().map(|event| event.aggregate_id))))
        .filter(Message::Status.is_in(unfinished))
        .into_tuple()
        .all(tx)
        .await?;
    if messages.is_empty() {
        return Ok(0);
    }
    // Not those that changed since they were seen, nor those that a relay holds.
    let ids: Vec<i64> = Events::find()
        .select_only()
        .column(Outbox::Id)
        .filter(Outbox::AggregateId.is_in(padded(messages)))
        .filter(Outbox::EventType.eq(EventKind::Send.as_str()))
        .filter(Outbox::Status.eq(task.status.as_str()))
        .filter(Expr::col(Outbox::NextRunAt).lt(tx.dialect().before(age)))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let republished = Events::update_many()
        .col_expr(Outbox::Status, Expr::value(OutboxStatus::Pending.as_str()))
        .col_expr(Outbox::NextRunAt, null_time())
        .col_expr(Outbox::UpdatedAt, tx.dialect().now())
        .filter(Outbox::Id.is_in(padded(ids)))
        .exec(tx)
        .await?;
    Ok(republished.rows_affected)
}
