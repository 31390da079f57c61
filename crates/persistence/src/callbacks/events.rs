//! A customer's events, newest first.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{CallbackEventId, CallbackStatus, CustomerId, EndpointId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::endpoints;
use crate::{
    Cursor, Database, Error, Page, Query,
    engine::{Session, StepError, reading, statements::padded},
    entity::{
        callback_endpoint,
        callback_event::{Column, Entity, Model},
    },
};

/// Events that one page looks at where not all are wanted: with fewer that fit it is short, and the next one goes on behind them.
const LOOKED_AT: u64 = 1_000;

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct CallbackFilter {
    /// Only for this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only in this state.
    pub status: Option<CallbackStatus>,
    /// Only those stored at this time or later.
    pub since: Option<DateTime<Utc>>,
}

/// An event, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackEvent {
    /// What it is named by.
    pub id: String,
    /// Its endpoint; `None` where that was removed.
    pub endpoint: Option<String>,
    /// What it tells of.
    pub kind: String,
    /// Where it stands.
    pub status: String,
    /// Since it was last asked for.
    pub attempts: u32,
    /// What is sent.
    pub payload: String,
    /// When it is tried next, while it waits for that.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}

impl Database {
    /// A customer's events, newest first.
    pub async fn callback_events(
        &self,
        customer: CustomerId,
        filter: &CallbackFilter,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<CallbackEvent>, Error> {
        reading!(self, Query::CallbackEvents, |db| list(db, customer, filter, cursor, limit)).await
    }
}

/// The row of a customer's event.
pub(super) async fn row_of(
    db: &impl ConnectionTrait,
    customer: CustomerId,
    id: &CallbackEventId,
) -> Result<Option<i64>, StepError> {
    let query = Entity::find().filter(Column::PublicId.eq(id.as_str())).filter(Column::CustomerId.eq(customer.get()));
    Ok(query.select_only().column(Column::Id).into_tuple().one(db).await?)
}

/// What is looked at of each: the row, its endpoint, its state, its time.
type Looked = (i64, i64, String, NaiveDateTime);

async fn list(
    db: &Session,
    customer: CustomerId,
    filter: &CallbackFilter,
    cursor: Option<Cursor>,
    limit: u64,
) -> Result<Page<CallbackEvent>, StepError> {
    let endpoint = match &filter.endpoint {
        None => None,
        Some(id) => match endpoints::row_of(db, customer, id).await? {
            Some(row) => Some(row),
            None => return Ok(Page { entries: Vec::new(), next: None }),
        },
    };
    let is_narrowed = endpoint.is_some() || filter.status.is_some();
    let window = if is_narrowed { LOOKED_AT.max(limit) } else { limit } + 1;
    let mut query = Entity::find()
        .select_only()
        .columns([Column::Id, Column::EndpointId, Column::Status, Column::CreatedAt])
        .filter(Column::CustomerId.eq(customer.get()));
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.id()));
    }
    let rows: Vec<Looked> =
        query.order_by_desc(Column::CustomerId).order_by_desc(Column::Id).limit(window).into_tuple().all(db).await?;
    let is_wanted = |(_, of, status, _): &Looked| {
        endpoint.is_none_or(|endpoint| endpoint == *of) && filter.status.is_none_or(|wanted| wanted.as_str() == status)
    };
    let (ids, next) = cut(rows, filter.since.map(|since| since.naive_utc()), window, limit, is_wanted);
    Ok(Page { entries: shown(db, customer, &ids).await?, next })
}

/// The rows of a page out of those that were looked at, and where the next page begins.
fn cut(
    rows: Vec<Looked>,
    since: Option<NaiveDateTime>,
    window: u64,
    limit: u64,
    is_wanted: impl Fn(&Looked) -> bool,
) -> (Vec<i64>, Option<Cursor>) {
    let found = rows.len();
    let (mut ids, mut last) = (Vec::new(), None);
    for (place, row) in rows.into_iter().enumerate() {
        if since.is_some_and(|since| row.3 < since) {
            return (ids, None);
        }
        // The last of a full window only tells that there is more.
        if ids.len() as u64 == limit || (place + 1) as u64 == window {
            return (ids, last);
        }
        if is_wanted(&row) {
            ids.push(row.0);
        }
        last = Some(Cursor::new(row.3, row.0));
    }
    debug_assert!((found as u64) < window, "a full window ends above");
    (ids, None)
}

async fn shown(db: &Session, customer: CustomerId, ids: &[i64]) -> Result<Vec<CallbackEvent>, StepError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Entity::find().filter(Column::Id.is_in(padded(ids.iter().copied()))).all(db).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let names: Vec<(i64, String)> = callback_endpoint::Entity::find()
        .select_only()
        .columns([callback_endpoint::Column::Id, callback_endpoint::Column::PublicId])
        .filter(callback_endpoint::Column::CustomerId.eq(customer.get()))
        .limit(endpoints::MAX_ENDPOINTS as u64)
        .into_tuple()
        .all(db)
        .await?;
    let names: HashMap<i64, String> = names.into_iter().collect();
    Ok(rows.into_iter().map(|row| event(row, &names)).collect())
}

fn event(row: Model, names: &HashMap<i64, String>) -> CallbackEvent {
    let waits = row.status == CallbackStatus::Pending.as_str();
    CallbackEvent {
        id: row.public_id,
        endpoint: names.get(&row.endpoint_id).cloned(),
        kind: row.kind,
        status: row.status,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        payload: row.payload,
        next_attempt_at: waits.then(|| row.next_run_at.and_utc()),
        created_at: row.created_at.and_utc(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn rows(ids: impl IntoIterator<Item = i64>) -> Vec<Looked> {
        let time = |id| DateTime::from_timestamp(id, 0).expect("a time").naive_utc();
        ids.into_iter().map(|id| (id, id % 2, "done".to_owned(), time(id))).collect()
    }

    #[test]
    fn a_page_ends_at_its_limit_its_window_or_its_time() {
        let place = |next: Option<Cursor>| next.map(Cursor::id);
        let all = |_: &Looked| true;
        let (ids, next) = cut(rows([5, 4, 3]), None, 3, 2, all);
        assert_eq!((ids, place(next)), (vec![5, 4], Some(4)));
        let (ids, next) = cut(rows([5, 4]), None, 3, 2, all);
        assert_eq!((ids, place(next)), (vec![5, 4], None));
        // None of a full window fits: the next page goes on behind it.
        let (ids, next) = cut(rows([5, 4, 3]), None, 3, 2, |_| false);
        assert_eq!((ids, place(next)), (vec![], Some(4)));
        let since = Some(rows([4])[0].3);
        let (ids, next) = cut(rows([5, 4, 3]), since, 4, 3, |row| row.1 == 0);
        assert_eq!((ids, place(next)), (vec![4], None));
    }
}
