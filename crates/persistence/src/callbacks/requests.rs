//! What a customer asks for by hand: an event again, all that failed, or a sign.

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{CallbackEventId, CallbackStatus, CallbackTrigger, CallbackType, CustomerId, EndpointId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait as _, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{self, Expr, LockType},
};
use uuid::Uuid;

use super::{endpoints, payload};
use crate::{
    Database, Error, Query,
    engine::{StepError, Tx, sql::insert, statements::padded, transaction},
    entity::{
        callback_endpoint,
        callback_event::{ActiveModel, Column, Entity},
    },
};

/// Events that one transaction makes due again.
const RECOVERED_TOGETHER: u64 = 1_000;

/// What became of an event that is to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resent {
    /// It is due now, with all its attempts before it; where it is being sent, once that has ended.
    Due,
    /// The customer has no such event.
    NotFound,
    /// Its endpoint was removed.
    NoEndpoint,
}

impl Database {
    /// Makes an event due again, whatever became of it.
    pub async fn resend_callback(&self, customer: CustomerId, id: &CallbackEventId) -> Result<Resent, Error> {
        transaction!(self, Query::CallbackResend, |tx| resend(tx, customer, id)).await
    }

    /// Makes some failed events of an endpoint due again that were stored from `since` on and before `until`. Returns how many; call
    /// again while it is not 0. `None` where the customer has no such endpoint.
    pub async fn recover_callbacks(
        &self,
        customer: CustomerId,
        id: &EndpointId,
        (since, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Option<u64>, Error> {
        transaction!(self, Query::CallbackRecover, |tx| async {
            let Some(row) = endpoints::row_of(tx, customer, id).await? else { return Ok(None) };
            recover(tx, row, since.naive_utc(), until.naive_utc()).await.map(Some)
        })
        .await
    }

    /// Stores a test for an endpoint. `None` where the customer has no such endpoint.
    pub async fn test_endpoint(&self, customer: CustomerId, id: &EndpointId) -> Result<Option<CallbackEventId>, Error> {
        transaction!(self, Query::CallbackTest, |tx| test(tx, customer, id)).await
    }
}

async fn resend(tx: &Tx, customer: CustomerId, id: &CallbackEventId) -> Result<Resent, StepError> {
    let found: Option<(i64, i64, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::EndpointId, Column::Status])
        .filter(Column::PublicId.eq(id.as_str()))
        .filter(Column::CustomerId.eq(customer.get()))
        .lock(LockType::Update)
        .into_tuple()
        .one(tx)
        .await?;
    let Some((row, endpoint, status)) = found else { return Ok(Resent::NotFound) };
    let endpoint = callback_endpoint::Entity::find_by_id(endpoint).select_only().column(callback_endpoint::Column::Id);
    if endpoint.into_tuple::<i64>().one(tx).await?.is_none() {
        return Ok(Resent::NoEndpoint);
    }
    if status == CallbackStatus::Sending.as_str() {
        ask_again(tx, row).await?;
    } else {
        make_due(tx, vec![row], CallbackTrigger::Resend).await?;
    }
    Ok(Resent::Due)
}

/// Of an event that is being sent: it stays with its relay, which makes it due when it records an attempt that no longer counts.
async fn ask_again(tx: &Tx, row: i64) -> Result<(), StepError> {
    Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::Requested, Expr::value(CallbackTrigger::Resend.as_str()))
        .filter(Column::Id.eq(row))
        .exec(tx)
        .await?;
    Ok(())
}

async fn recover(tx: &Tx, endpoint: i64, since: NaiveDateTime, until: NaiveDateTime) -> Result<u64, StepError> {
    let time = |time| Expr::val(tx.dialect().time(time));
    let ids: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::EndpointId.eq(endpoint))
        .filter(Column::Status.eq(CallbackStatus::Failed.as_str()))
        // It failed after it was stored: the index begins there.
        .filter(sea_query::ExprTrait::gte(Expr::col(Column::NextRunAt), time(since)))
        .filter(sea_query::ExprTrait::gte(Expr::col(Column::CreatedAt), time(since)))
        .filter(sea_query::ExprTrait::lt(Expr::col(Column::CreatedAt), time(until)))
        .order_by_asc(Column::NextRunAt)
        .order_by_asc(Column::Id)
        .limit(RECOVERED_TOGETHER)
        // Waited for: none found means none left.
        .lock(LockType::Update)
        .into_tuple()
        .all(tx)
        .await?;
    if ids.is_empty() { Ok(0) } else { make_due(tx, ids, CallbackTrigger::Recover).await }
}

/// With all attempts before them.
async fn make_due(tx: &Tx, ids: Vec<i64>, trigger: CallbackTrigger) -> Result<u64, StepError> {
    let due = Entity::update_many()
        .col_expr(Column::Status, Expr::value(CallbackStatus::Pending.as_str()))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::Requested, Expr::value(trigger.as_str()))
        .col_expr(Column::NextRunAt, tx.dialect().now())
        .filter(Column::Id.is_in(padded(ids)))
        .exec(tx)
        .await?;
    Ok(due.rows_affected)
}

#[derive(FromQueryResult)]
struct Now {
    now: NaiveDateTime,
}

async fn test(tx: &Tx, customer: CustomerId, id: &EndpointId) -> Result<Option<CallbackEventId>, StepError> {
    let Some(endpoint) = endpoints::row_of(tx, customer, id).await? else { return Ok(None) };
    let now = sea_query::Query::select().expr_as(tx.dialect().now(), "now").to_owned();
    let now = tx.query_one(&now).await?.map(|row| Now::from_query_result(&row, "")).transpose()?;
    let now = now.map_or(NaiveDateTime::MIN, |row| row.now);
    let event = CallbackEventId::from_uuid(Uuid::now_v7());
    let kind = CallbackType::EndpointTest;
    let row = ActiveModel {
        public_id: Set(event.as_str().to_owned()),
        customer_id: Set(customer.get()),
        endpoint_id: Set(endpoint),
        kind: Set(kind.as_str().to_owned()),
        payload: Set(payload::of_endpoint(kind, now, id.as_str(), None)),
        requested: Set(Some(CallbackTrigger::Test.as_str().to_owned())),
        ..Default::default()
    };
    insert(tx, vec![row]).await?;
    Ok(Some(event))
}
