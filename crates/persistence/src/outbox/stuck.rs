//! The search for messages that the broker lost: what was published long ago and is not finished is published again.
//!
//! Events that were published or given up stand in the index of claims in the order of when that was. The search goes along it
//! once: how far it has come is written down, so that neither a restart nor another relay begins anew. What it publishes again
//! comes back to it, for it then stands behind.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use domain::{EventKind, Lane, MessageStatus, OutboxStatus};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{
    housekeeping::make_pending,
    rows::{by_claim_index, in_lane},
};
use crate::{
    Database, Error, Query,
    engine::{StepError, Tx, statements::padded, transaction},
    entity::{
        message_status::{Column as Message, Entity as Messages},
        outbox_event::{Column as Outbox, Entity as Events},
        sweep_progress,
    },
};

/// Events that one transaction of the search looks at.
const PAGE: u64 = 1_000;
/// Transactions of one search in each lane and state, so that whoever searches comes to its other work; the next one goes on from there.
const PAGES: u32 = 20;

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
    /// Where it began.
    since: NaiveDateTime,
    /// Where the next one goes on; `None` after the last one.
    next: Option<Place>,
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// How many events will be published again.
    pub republished: u64,
    /// Whether it looked at all there is; otherwise the next one goes on there.
    pub is_done: bool,
}

#[derive(FromQueryResult)]
struct Progress {
    done_until: NaiveDateTime,
    latest: NaiveDateTime,
}

impl Database {
    /// Publishes messages again whose event was published or given up more than `age` ago and that are still
    /// unfinished: dead-lettered after too many crashes, lost with a queue, or given up while a worker held them. A copy that is
    /// still queued somewhere does no harm, for the rows decide who sends. Looks at a bounded number of events.
    pub async fn republish_stuck(&self, age: Duration) -> Result<Search, Error> {
        let mut found = Search { republished: 0, is_done: true };
        for task in &TASKS {
            transaction!(self, Query::OutboxRepublish, |tx| note_when(tx, task)).await?;
            let mut began: Option<NaiveDateTime> = None;
            let mut after: Option<Place> = None;
            for pages in 1.. {
                let page = transaction!(self, Query::OutboxRepublish, |tx| search(tx, task, age, after)).await?;
                found.republished += page.republished;
                let began = *began.get_or_insert(page.since);
                let Some(next) = page.next else { break };
                // Only the time is written down: of the same instant all must be looked at.
                if pages >= PAGES && next.since > began {
                    found.is_done = false;
                    break;
                }
                after = Some(next);
            }
        }
        Ok(found)
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
    let Some(Progress { done_until, latest }) = lock_progress(tx, task, age).await? else {
        // Another relay is at it, or somebody deleted the row: then the next search begins anew.
        begin_anew_if_gone(tx, task).await?;
        return Ok(Page { republished: 0, since: NaiveDateTime::MIN, next: None });
    };
    // A clock that was ahead, as another server's may be, must not let pass what came after it.
    let since = std::cmp::Ord::min(done_until, latest);
    let seen = ended_before(tx, task, age, after.unwrap_or_else(|| Place::beginning(since))).await?;
    let last = seen.last().map(Seen::place);
    let now_done_until = last.map_or(since, |last| last.since);
    if now_done_until != done_until {
        sweep_progress::Entity::update_many()
            .col_expr(sweep_progress::Column::DoneUntil, Expr::value(tx.dialect().time(now_done_until)))
            .filter(sweep_progress::Column::Task.eq(task.name))
            .exec(tx)
            .await?;
    }
    let is_full = seen.len() as u64 == PAGE;
    let republished = if seen.is_empty() { 0 } else { republish(tx, task, seen, age).await? };
    Ok(Page { republished, since, next: last.filter(|_| is_full) })
}

/// How far the search has come, and how far it may come now.
async fn lock_progress(tx: &Tx, task: &Task, age: Duration) -> Result<Option<Progress>, StepError> {
    use sweep_progress::{Column, Entity};
    let progress = Entity::find()
        .select_only()
        .column(Column::DoneUntil)
        .expr_as(tx.dialect().before(age), "latest")
        .filter(Column::Task.eq(task.name))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_model::<Progress>()
        .one(tx)
        .await?;
    Ok(progress)
}

async fn begin_anew_if_gone(tx: &Tx, task: &Task) -> Result<(), StepError> {
    use sweep_progress::{ActiveModel, Column, Entity};
    if Entity::find().filter(Column::Task.eq(task.name)).one(tx).await?.is_none() {
        let beginning = DateTime::UNIX_EPOCH.naive_utc();
        let row = ActiveModel { task: Set(task.name.to_owned()), done_until: Set(beginning) };
        Entity::insert(row).exec_without_returning(tx).await?;
    }
    Ok(())
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
    make_pending(tx, ids, []).await
}
