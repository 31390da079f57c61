//! Events that wait for an endpoint which was removed: of a request that was cut off, of a change that was stored meanwhile, or too
//! many for a request.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use domain::CallbackStatus;
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use crate::{
    Database, Error, Query,
    engine::{StepError, Tx, sql::Sql, statements::padded, transaction},
    entity::{
        callback_endpoint,
        callback_event::{Column, Entity},
    },
};

/// Waiting events that one look goes through.
const LOOKED_AT: u64 = 2_000;

/// The last event of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackPlace(pub(crate) NaiveDateTime, pub(crate) i64);

impl Database {
    /// Goes through some of the events that are due, from the one after this on, and cancels those whose endpoint is gone. Returns how
    /// many, and from where to go on; `None` where that were the last ones.
    pub async fn cancel_orphaned_callbacks(
        &self,
        after: Option<CallbackPlace>,
    ) -> Result<(u64, Option<CallbackPlace>), Error> {
        transaction!(self, Query::CallbackExpire, |tx| async {
            let due = due(tx, after).await?;
            let last = due.last().filter(|_| due.len() as u64 == LOOKED_AT);
            let place = last.map(|(id, _, at)| CallbackPlace(*at, *id));
            Ok((cancel(tx, &due).await?, place))
        })
        .await
    }
}

/// The row, its endpoint, its time.
type Due = (i64, i64, NaiveDateTime);

async fn due(tx: &Tx, after: Option<CallbackPlace>) -> Result<Vec<Due>, StepError> {
    let dialect = tx.dialect();
    let mut query = Entity::find()
        .select_only()
        .columns([Column::Id, Column::EndpointId, Column::NextRunAt])
        .filter(Column::Status.eq(CallbackStatus::Pending.as_str()))
        .filter(Expr::col(Column::NextRunAt).lte(dialect.now()));
    if let Some(CallbackPlace(at, id)) = after {
        let at = || Expr::val(dialect.time(at));
        let is_after = Condition::any().add(Expr::col(Column::NextRunAt).gt(at())).add(Column::Id.gt(id));
        query = query.filter(Expr::col(Column::NextRunAt).gte(at())).filter(is_after);
    }
    let query = query.order_by_asc(Column::Status).order_by_asc(Column::NextRunAt).order_by_asc(Column::Id);
    Ok(query.limit(LOOKED_AT).into_tuple().all(tx).await?)
}

/// An endpoint that is there is not removed meanwhile without its own look for what waits; one that is gone never comes back.
async fn cancel(tx: &Tx, due: &[Due]) -> Result<u64, StepError> {
    use callback_endpoint::{Column, Entity};
    let endpoints: BTreeSet<i64> = due.iter().map(|(_, endpoint, _)| *endpoint).collect();
    if endpoints.is_empty() {
        return Ok(0);
    }
    let found = Entity::find().select_only().column(Column::Id).filter(Column::Id.is_in(padded(endpoints)));
    let found: BTreeSet<i64> = found.into_tuple().all(tx).await?.into_iter().collect();
    let orphans = due.iter().filter(|(_, endpoint, _)| !found.contains(endpoint)).map(|(id, ..)| *id);
    let orphans: Vec<i64> = orphans.collect();
    if orphans.is_empty() {
        return Ok(0);
    }
    let now = tx.dialect().now_text();
    let text = format!("UPDATE callback_events SET status = ?, next_run_at = {now} WHERE status = ? AND id IN ");
    let values = [CallbackStatus::Cancelled.as_str().into(), CallbackStatus::Pending.as_str().into()];
    Sql::new(text, values).list(orphans.into_iter().map(Into::into)).execute(tx).await
}
