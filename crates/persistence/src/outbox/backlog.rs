//! How much waits in a lane, how long, and how fast it is worked off. Every count has an end, so that it costs little.

use std::time::Duration;

use domain::{Lane, OutboxStatus, Turn};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{self, Expr, SimpleExpr},
};

use super::rows::{by_claim_index, in_lane, waiting_in};
use crate::{
    Database, Error, Query,
    engine::{Session, StepError, count_up_to, reading},
    entity::outbox_event::{Column, Entity},
};

impl Database {
    /// Counts events of a lane not yet published or claimed, those that wait for a retry too, among the first `most`. Those that were
    /// put off as of an unknown kind are left out: no relay of this release will ever work them off.
    pub async fn pending_events(&self, lane: Lane, most: u64) -> Result<u64, Error> {
        reading!(self, Query::OutboxPending, |db| async {
            // In the order of the index, which has claimable ones first: so SQLite takes it too.
            let pending = by_claim_index(in_lane(lane, OutboxStatus::Pending));
            let pending = pending.order_by_asc(Column::NextRunAt).order_by_asc(Column::Turn);
            let turns = pending.select_only().column(Column::Turn);
            count_up_to(db, turns, Some(Expr::col(Column::Turn).gte(0)), most).await
        })
        .await
    }

    /// Counts events of a lane published within the last `window`, up to `most`.
    pub async fn published_events(&self, lane: Lane, window: Duration, most: u64) -> Result<u64, Error> {
        reading!(self, Query::OutboxPublished, |db| async {
            // When it was published stands where the index of claims has it.
            let published = Expr::col(Column::NextRunAt).gte(db.dialect().before(window));
            let published = by_claim_index(in_lane(lane, OutboxStatus::Processed).filter(published));
            count_up_to(db, published.select_only().column(Column::Turn), None, most).await
        })
        .await
    }

    /// Whether an event of a lane can be claimed, unless somebody else is at it.
    pub async fn has_waiting(&self, lane: Lane) -> Result<bool, Error> {
        reading!(self, Query::OutboxPeek, |db| async {
            let id: Option<i64> =
                waiting_in(lane).select_only().column(Column::Id).limit(1).into_tuple().one(db).await?;
            Ok(id.is_some())
        })
        .await
    }

    /// The turn that a lane is at: the lowest of those waiting; `None` when nothing waits. Rows without a turn are
    /// left out.
    pub async fn turn_of(&self, lane: Lane) -> Result<Option<Turn>, Error> {
        reading!(self, Query::OutboxTurn, |db| turn_in(db, lane)).await
    }

    /// How long the oldest claimable event of a lane has waited; zero when none does. It is looked for among the `most` whose
    /// turns are lowest.
    pub async fn oldest_waiting(&self, lane: Lane, most: u64) -> Result<Duration, Error> {
        reading!(self, Query::OutboxOldest, |db| async {
            let waiting = waiting_in(lane).select_only().column(Column::Id).limit(most).into_query();
            let lowest =
                sea_query::Query::select().expr(Expr::cust("MIN(id)")).from_subquery(waiting, "waiting").to_owned();
            let waited: Option<i64> = Entity::find()
                .select_only()
                .expr_as(db.dialect().millis_since(Expr::col(Column::CreatedAt)), "waited")
                .filter(Expr::col(Column::Id).eq(SimpleExpr::SubQuery(None, Box::new(lowest.into()))))
                .into_tuple()
                .one(db)
                .await?;
            Ok(Duration::from_millis(waited.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0)))
        })
        .await
    }
}

/// As [`Database::turn_of`].
pub(super) async fn turn_in<State: Send + Sync>(db: &Session<State>, lane: Lane) -> Result<Option<Turn>, StepError> {
    let turn: Option<i64> = waiting_in(lane)
        .select_only()
        .column(Column::Turn)
        .filter(Column::Turn.gt(0))
        .order_by_asc(Column::Turn)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    Ok(turn.map(Turn::from_stored))
}
