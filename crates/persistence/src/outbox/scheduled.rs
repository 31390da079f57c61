//! Events that wait for their time: made claimable when it has come, whole messages at a time, in a new turn.

use std::{ops::RangeInclusive, time::Duration};

use domain::{CustomerId, FairOrder, Lane, OutboxStatus, Turn, status::SCHEDULED};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{
    backlog::turn_in,
    rows::{by_claim_index, in_lane},
};
use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx, clock, reading,
        sql::Sql,
        statements::{null_time, padded},
        transaction,
    },
    entity::outbox_event::{Column, Entity},
};

/// Events that one transaction looks at, at most and at least: how many have 1,000 recipients is only known afterwards.
const EVENTS: RangeInclusive<u64> = 8..=200;
/// Recipients after which no event is added to a transaction.
const RECIPIENTS: i64 = 1_000;

/// Where the promotion of a lane is: one for each lane, for as long as a process promotes.
#[derive(Debug)]
pub struct Promotion {
    lane: Lane,
    /// Where each customer's last promoted message ends.
    order: FairOrder,
    /// Events to look at next.
    events: u64,
}

impl Promotion {
    /// Nothing is promoted yet.
    pub fn of(lane: Lane) -> Self {
        Self { lane, order: FairOrder::starting_at(Turn::from_stored(0)), events: *EVENTS.end() }
    }

    /// The lane that it is about.
    pub fn lane(&self) -> Lane {
        self.lane
    }
}

#[derive(FromQueryResult)]
struct Due {
    id: i64,
    aggregate_id: String,
    user_id: Option<i64>,
    recipients: Option<i64>,
    segments: Option<i16>,
}

impl Due {
    fn customer(&self) -> Option<CustomerId> {
        self.user_id.and_then(|id| CustomerId::try_from(id).ok())
    }
}

impl Database {
    /// How long ago the time of a lane's oldest scheduled message was; `None` where none has come yet.
    pub async fn scheduled_lag(&self, lane: Lane) -> Result<Option<Duration>, Error> {
        reading!(self, Query::OutboxSchedule, |db| async {
            let over: Option<i64> = by_claim_index(in_lane(lane, OutboxStatus::Scheduled))
                .select_only()
                .expr_as(db.dialect().millis_since(Expr::col(Column::NextRunAt)), "over")
                .filter(Expr::col(Column::NextRunAt).lte(db.dialect().now()))
                .order_by_asc(Column::NextRunAt)
                .limit(1)
                .into_tuple()
                .one(db)
                .await?;
            Ok(over.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
        })
        .await
    }

    /// Makes some events of a lane claimable whose time has come. Returns how many; call again while it is not 0.
    pub async fn promote_scheduled(&self, promotion: &mut Promotion) -> Result<u64, Error> {
        let (promoted, order) = transaction!(self, Query::OutboxSchedule, |tx| promote(tx, promotion)).await?;
        promotion.events = (2 * promoted).clamp(*EVENTS.start(), *EVENTS.end());
        promotion.order.merge(order);
        Ok(promoted)
    }
}

/// How many were promoted, and where their customers are then.
async fn promote(tx: &Tx, promotion: &Promotion) -> Result<(u64, FairOrder), StepError> {
    let Promotion { lane, order, events } = promotion;
    let due = due(tx, *lane, *events).await?;
    let mut order = order.of(due.iter().filter_map(Due::customer));
    if due.is_empty() {
        return Ok((0, order));
    }
    order.move_to(match turn_in(tx, *lane).await? {
        Some(turn) => turn,
        None => Turn::at(clock::now(tx).await?.timestamp_millis()),
    });
    let placed = placed(due, &mut order);
    let messages = placed.iter().map(|(event, _)| event.aggregate_id.as_str().into());
    let now = tx.dialect().now_text();
    Sql::new(
        format!("UPDATE message_status SET status = 'pending', updated_at = {now} WHERE message_identifier IN "),
        [],
    )
    .list(messages)
    .and(" AND status = ?", [SCHEDULED.into()])
    .execute(tx)
    .await?;
    let turns = placed.iter().map(|(event, turn)| [event.id.into(), turn.get().into()]);
    let ids = placed.iter().map(|(event, _)| event.id);
    let turned = Sql::new(format!("UPDATE outbox_events SET updated_at = {now}, turn = CASE id "), [])
        .each("WHEN ? THEN ?", " ", turns)
        .and(" ELSE turn END WHERE id IN ", [])
        .list(ids.clone().map(Into::into));
    turned.execute(tx).await?;
    let promoted = Entity::update_many()
        .col_expr(Column::Status, Expr::value(OutboxStatus::Pending.as_str()))
        .col_expr(Column::NextRunAt, null_time())
        // From now on it waits as others do from their acceptance.
        .col_expr(Column::CreatedAt, tx.dialect().now())
        .filter(Column::Id.is_in(padded(ids)))
        .exec(tx)
        .await?;
    Ok((promoted.rows_affected, order))
}

/// What is due, with what it takes of its lane.
async fn due(tx: &Tx, lane: Lane, most: u64) -> Result<Vec<Due>, StepError> {
    let dialect = tx.dialect();
    // All recipients of a message have the same number of segments.
    let segments = "(SELECT m.segments FROM message_status m WHERE m.message_identifier = aggregate_id LIMIT 1)";
    let due = by_claim_index(in_lane(lane, OutboxStatus::Scheduled))
        .select_only()
        .columns([Column::Id, Column::AggregateId, Column::UserId])
        .expr_as(dialect.json_length("payload", "$.message.recipients"), "recipients")
        .expr_as(Expr::cust(segments), "segments")
        .filter(Expr::col(Column::NextRunAt).lte(dialect.now()))
        .order_by_asc(Column::NextRunAt)
        .limit(most)
        // Whom somebody cancels at this moment is left to that.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_model::<Due>()
        .all(tx)
        .await?;
    Ok(due)
}

/// As many events as have so many recipients, but one at least, each with its turn: where the lane is now, and a customer's next one where
/// its last one ends, so that a campaign of one does not stand before the messages of all others.
fn placed(due: Vec<Due>, order: &mut FairOrder) -> Vec<(Due, Turn)> {
    let (mut taken, mut placed) = (0, Vec::new());
    for event in due {
        let recipients = at_least_one(event.recipients);
        if taken > 0 && taken + recipients > RECIPIENTS {
            break;
        }
        taken += recipients;
        let steps = recipients.saturating_mul(at_least_one(event.segments.map(Into::into)));
        let turn = match event.customer() {
            Some(customer) => order.take_steps(customer, steps),
            None => order.now(),
        };
        placed.push((event, turn));
    }
    placed
}

/// Of what cannot be read nothing is known.
fn at_least_one(count: Option<i64>) -> i64 {
    count.filter(|count| *count > 0).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(id: i64, user: i64, recipients: i64) -> Due {
        Due { id, aggregate_id: format!("m{id}"), user_id: Some(user), recipients: Some(recipients), segments: Some(2) }
    }

    fn turns(placed: &[(Due, Turn)]) -> Vec<(i64, i64)> {
        placed.iter().map(|(event, turn)| (event.id, turn.get())).collect()
    }

    #[test]
    fn whole_messages_are_taken_and_customers_take_turns() {
        let mut order = FairOrder::starting_at(Turn::from_stored(50));
        let first = placed(vec![due(1, 7, 600), due(2, 8, 10), due(3, 7, 300), due(4, 9, 200)], &mut order);
        assert_eq!(turns(&first), [(1, 50), (2, 50), (3, 1_250)], "the fourth would be too many");
        let next = placed(vec![due(4, 9, 200), due(5, 7, 1)], &mut order);
        assert_eq!(turns(&next), [(4, 50), (5, 1_850)], "a campaign goes on where it was");
    }

    #[test]
    fn one_is_taken_however_large_it_is() {
        let mut order = FairOrder::starting_at(Turn::from_stored(1));
        assert_eq!(placed(vec![due(1, 7, 5_000), due(2, 8, 1)], &mut order).len(), 1);
    }
}
