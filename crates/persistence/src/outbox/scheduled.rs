//! Events that wait for their time: made claimable when it has come, whole messages at a time, in a new turn.

use std::{collections::HashMap, time::Duration};

use domain::{Lane, OutboxStatus, Turn, status::SCHEDULED};
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
    entity::{
        message_status,
        outbox_event::{Column, Entity},
    },
};

/// Events that one transaction looks at.
const EVENTS: u64 = 200;
/// Recipients after which no event is added to a transaction.
const RECIPIENTS: i64 = 1_000;

#[derive(FromQueryResult)]
struct Due {
    id: i64,
    aggregate_id: String,
    user_id: Option<i64>,
}

#[derive(FromQueryResult)]
struct Counted {
    message_identifier: String,
    recipients: i64,
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
    pub async fn promote_scheduled(&self, lane: Lane) -> Result<u64, Error> {
        transaction!(self, Query::OutboxSchedule, |tx| promote(tx, lane)).await
    }
}

async fn promote(tx: &Tx, lane: Lane) -> Result<u64, StepError> {
    let due: Vec<Due> = by_claim_index(in_lane(lane, OutboxStatus::Scheduled))
        .select_only()
        .columns([Column::Id, Column::AggregateId, Column::UserId])
        .filter(Expr::col(Column::NextRunAt).lte(tx.dialect().now()))
        .order_by_asc(Column::NextRunAt)
        .limit(EVENTS)
        // Whom somebody cancels at this moment is left to that.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_model::<Due>()
        .all(tx)
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let recipients = recipients(tx, &due).await?;
    let now = match turn_in(tx, lane).await? {
        Some(turn) => turn,
        None => Turn::at(clock::now(tx).await?.timestamp_millis()),
    };
    let placed = placed(due, &recipients, now);
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
    Ok(promoted.rows_affected)
}

/// To how many each message goes.
async fn recipients(tx: &Tx, due: &[Due]) -> Result<HashMap<String, i64>, StepError> {
    use message_status::{Column, Entity};
    let counted: Vec<Counted> = Entity::find()
        .select_only()
        .column(Column::MessageIdentifier)
        .expr_as(Column::Id.count(), "recipients")
        .filter(Column::MessageIdentifier.is_in(padded(due.iter().map(|event| event.aggregate_id.as_str()))))
        .group_by(Column::MessageIdentifier)
        .into_model::<Counted>()
        .all(tx)
        .await?;
    Ok(counted.into_iter().map(|row| (row.message_identifier, row.recipients)).collect())
}

/// As many events as have so many recipients, but one at least, each with its turn: where the lane is now, and a customer's next one where
/// its last one ends, so that a campaign of one does not stand before the messages of all others.
fn placed(due: Vec<Due>, recipients: &HashMap<String, i64>, now: Turn) -> Vec<(Due, Turn)> {
    let (mut taken, mut ends) = (0, HashMap::<Option<i64>, i64>::new());
    let mut placed = Vec::new();
    for event in due {
        let steps = recipients.get(&event.aggregate_id).copied().unwrap_or(1);
        if taken > 0 && taken + steps > RECIPIENTS {
            break;
        }
        taken += steps;
        let end = ends.entry(event.user_id).or_insert(now.get());
        let turn = Turn::from_stored(*end);
        *end = end.saturating_add(steps);
        placed.push((event, turn));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(id: i64, user: i64) -> Due {
        Due { id, aggregate_id: format!("m{id}"), user_id: Some(user) }
    }

    #[test]
    fn whole_messages_are_taken_and_customers_take_turns() {
        let recipients = [(1, 600), (2, 10), (3, 300), (4, 200)];
        let recipients = recipients.into_iter().map(|(id, count)| (format!("m{id}"), count)).collect();
        let placed = placed(vec![due(1, 7), due(2, 8), due(3, 7), due(4, 9)], &recipients, Turn::from_stored(50));
        let placed: Vec<_> = placed.into_iter().map(|(event, turn)| (event.id, turn.get())).collect();
        assert_eq!(placed, [(1, 50), (2, 50), (3, 650)], "the fourth would be too many");
    }

    #[test]
    fn one_is_taken_however_large_it_is() {
        let recipients = HashMap::from([("m1".to_owned(), 5_000)]);
        assert_eq!(placed(vec![due(1, 7), due(2, 8)], &recipients, Turn::from_stored(1)).len(), 1);
    }
}
