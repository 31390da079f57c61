//! The endpoints of customers: made, listed, changed, removed.

use std::{num::NonZeroU32, time::Duration};

use chrono::{DateTime, Utc};
use domain::{CallbackStatus, CallbackTypes, CustomerId, EndpointId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DeleteMany, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, LockBehavior, LockType},
};

use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx, reading,
        sql::insert,
        statements::{null_text, null_time, padded},
        transaction,
    },
    entity::{
        callback_endpoint::{ActiveModel, Column, Entity, Model},
        callback_event::{self, Column as Event},
    },
};

/// Endpoints that a customer has at most.
pub const MAX_ENDPOINTS: usize = 10;
/// Waiting events of a removed endpoint that one transaction cancels, and how many transactions do: the rest is never claimed, and
/// is left to the sweeper.
const CANCELLED_TOGETHER: u64 = 1_000;
const CANCEL_ROUNDS: u32 = 100;

/// An endpoint to be made.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// What it is named by.
    pub id: EndpointId,
    /// Whose it is.
    pub customer: CustomerId,
    /// Where callbacks go, in the normal form of URLs.
    pub url: String,
    /// What people say of it.
    pub description: Option<String>,
    /// What it is told of.
    pub types: CallbackTypes,
    /// The most that it is sent in a second.
    pub per_second: Option<NonZeroU32>,
}

/// A stored endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackEndpoint {
    /// What it is named by.
    pub id: String,
    /// Whose it is.
    pub customer: i64,
    /// Where callbacks go.
    pub url: String,
    /// What people say of it.
    pub description: Option<String>,
    /// What it is told of.
    pub types: CallbackTypes,
    /// Which of its secrets is the current one.
    pub secret_version: u32,
    /// Until when the one before signs too.
    pub previous_until: Option<DateTime<Utc>>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// Why it is not.
    pub disabled_reason: Option<String>,
    /// The first failure since it last took something.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when it is let alone.
    pub paused_until: Option<DateTime<Utc>>,
    /// The most that it is sent in a second.
    pub per_second: Option<NonZeroU32>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What became of an endpoint that was to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointCreated {
    /// It is told of what happens from now on; in other processes within ten seconds where it is its customer's first.
    Created(CallbackEndpoint),
    /// Its customer has [`MAX_ENDPOINTS`] already.
    TooMany,
}

/// What is to be changed of an endpoint; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    /// Where callbacks go.
    pub url: Option<String>,
    /// What people say of it; `Some(None)` is nothing.
    pub description: Option<Option<String>>,
    /// What it is told of.
    pub types: Option<CallbackTypes>,
    /// Whether it is told anything. To enable it forgets that it failed.
    pub enabled: Option<bool>,
    /// The most that it is sent in a second; `Some(None)` is no limit.
    pub per_second: Option<Option<NonZeroU32>>,
}

impl Database {
    /// Makes an endpoint.
    pub async fn create_endpoint(&self, new: &NewEndpoint) -> Result<EndpointCreated, Error> {
        transaction!(self, Query::CallbackCreate, |tx| create(tx, new)).await
    }

    /// A customer's endpoints, oldest first.
    pub async fn endpoints(&self, customer: CustomerId) -> Result<Vec<CallbackEndpoint>, Error> {
        reading!(self, Query::CallbackEndpoints, |db| async {
            let rows = all_of(customer).all(db).await?;
            Ok(rows.into_iter().map(endpoint).collect())
        })
        .await
    }

    /// A customer's endpoint; `None` where it has none of this id.
    pub async fn endpoint(&self, customer: CustomerId, id: &EndpointId) -> Result<Option<CallbackEndpoint>, Error> {
        reading!(self, Query::CallbackEndpoint, |db| async { Ok(this(customer, id).one(db).await?.map(endpoint)) })
            .await
    }

    /// Changes an endpoint and tells how it is then; `None` where the customer has none of this id.
    pub async fn change_endpoint(
        &self,
        customer: CustomerId,
        id: &EndpointId,
        change: &EndpointChange,
    ) -> Result<Option<CallbackEndpoint>, Error> {
        transaction!(self, Query::CallbackChange, |tx| change_one(tx, customer, id, change)).await
    }

    /// Gives an endpoint its next secret, and tells how it is then; the one before signs too for `overlap`.
    pub async fn rotate_endpoint_secret(
        &self,
        customer: CustomerId,
        id: &EndpointId,
        overlap: Duration,
    ) -> Result<Option<CallbackEndpoint>, Error> {
        transaction!(self, Query::CallbackRotate, |tx| async {
            let Some(row) = locked(tx, customer, id).await? else { return Ok(None) };
            Entity::update_many()
                .col_expr(Column::SecretVersion, Expr::value(row.secret_version + 1))
                .col_expr(Column::PreviousUntil, tx.dialect().after(overlap))
                .filter(Column::Id.eq(row.id))
                .exec(tx)
                .await?;
            Ok(Entity::find_by_id(row.id).one(tx).await?.map(endpoint))
        })
        .await
    }

    /// Removes an endpoint and cancels what waits for it. Tells whether there was one.
    pub async fn remove_endpoint(&self, customer: CustomerId, id: &EndpointId) -> Result<bool, Error> {
        let removed = transaction!(self, Query::CallbackRemove, |tx| async {
            let Some(row) = locked(tx, customer, id).await? else { return Ok(None) };
            Entity::delete_by_id(row.id).exec(tx).await?;
            Ok(Some(row.id))
        })
        .await?;
        let Some(row) = removed else { return Ok(false) };
        for _ in 0..CANCEL_ROUNDS {
            if transaction!(self, Query::CallbackRemove, |tx| cancel_some(tx, row)).await? == 0 {
                break;
            }
        }
        Ok(true)
    }
}

fn all_of(customer: CustomerId) -> Select<Entity> {
    let query = Entity::find().filter(Column::CustomerId.eq(customer.get()));
    query.order_by_asc(Column::CustomerId).order_by_asc(Column::Id).limit(MAX_ENDPOINTS as u64)
}

fn this(customer: CustomerId, id: &EndpointId) -> Select<Entity> {
    Entity::find().filter(Column::PublicId.eq(id.as_str())).filter(Column::CustomerId.eq(customer.get()))
}

async fn locked(tx: &Tx, customer: CustomerId, id: &EndpointId) -> Result<Option<Model>, StepError> {
    Ok(this(customer, id).lock(LockType::Update).one(tx).await?)
}

/// The row of a customer's endpoint.
pub(super) async fn row_of(
    db: &impl ConnectionTrait,
    customer: CustomerId,
    id: &EndpointId,
) -> Result<Option<i64>, StepError> {
    Ok(this(customer, id).select_only().column(Column::Id).into_tuple().one(db).await?)
}

async fn create(tx: &Tx, new: &NewEndpoint) -> Result<EndpointCreated, StepError> {
    // Locked, so that two requests count one after the other: where there are rows to lock.
    if all_of(new.customer).lock(LockType::Update).all(tx).await?.len() >= MAX_ENDPOINTS {
        return Ok(EndpointCreated::TooMany);
    }
    let row = ActiveModel {
        public_id: Set(new.id.as_str().to_owned()),
        customer_id: Set(new.customer.get()),
        url: Set(new.url.clone()),
        description: Set(new.description.clone()),
        events: Set(new.types.to_stored()),
        per_second: Set(per_second(new.per_second)),
        ..Default::default()
    };
    insert(tx, vec![row]).await?;
    if is_beyond_the_limit(tx, new.customer).await? {
        this_one(new).exec(tx).await?;
        return Ok(EndpointCreated::TooMany);
    }
    let gone = || Error::Inconsistent { table: "callback_endpoints", what: format!("{} is gone", new.id) };
    let stored = this(new.customer, &new.id).one(tx).await?.ok_or_else(gone)?;
    Ok(EndpointCreated::Created(endpoint(stored)))
}

/// Counts again, with the new row. A customer without endpoints has no row to lock, so any number of requests may have counted none;
/// but all of them store before they count here, where each waits for what the others stored. Two that wait for each other are a
/// deadlock: one of them begins anew, and then finds rows to lock.
async fn is_beyond_the_limit(tx: &Tx, customer: CustomerId) -> Result<bool, StepError> {
    let with_new = all_of(customer).limit(MAX_ENDPOINTS as u64 + 1).lock(LockType::Share).all(tx).await?;
    Ok(with_new.len() > MAX_ENDPOINTS)
}

fn this_one(new: &NewEndpoint) -> DeleteMany<Entity> {
    Entity::delete_many().filter(Column::PublicId.eq(new.id.as_str()))
}

async fn change_one(
    tx: &Tx,
    customer: CustomerId,
    id: &EndpointId,
    change: &EndpointChange,
) -> Result<Option<CallbackEndpoint>, StepError> {
    let Some(mut row) = locked(tx, customer, id).await? else { return Ok(None) };
    let is_enabled_again = change.enabled == Some(true) && !row.enabled;
    let forgets = change.url.is_some() || is_enabled_again;
    row.url = change.url.clone().unwrap_or(row.url);
    row.description = change.description.clone().unwrap_or(row.description);
    row.events = change.types.as_ref().map_or(row.events, CallbackTypes::to_stored);
    row.enabled = change.enabled.unwrap_or(row.enabled);
    row.per_second = change.per_second.map_or(row.per_second, per_second);
    let reason = change.enabled.map(|enabled| (!enabled).then(|| "by_customer".to_owned()));
    let mut update = Entity::update_many()
        .col_expr(Column::Url, Expr::value(row.url))
        .col_expr(Column::Description, Expr::value(row.description))
        .col_expr(Column::Events, Expr::value(row.events))
        .col_expr(Column::Enabled, Expr::value(row.enabled))
        .col_expr(Column::DisabledReason, Expr::value(reason.unwrap_or(row.disabled_reason)))
        .col_expr(Column::PerSecond, Expr::value(row.per_second));
    if forgets {
        update = update
            .col_expr(Column::Failures, Expr::value(0))
            .col_expr(Column::FailingSince, null_time())
            .col_expr(Column::PausedUntil, null_time());
    }
    update.filter(Column::Id.eq(row.id)).exec(tx).await?;
    Ok(Entity::find_by_id(row.id).one(tx).await?.map(endpoint))
}

/// Cancels some events that wait for an endpoint. Those that are being sent end by themselves.
async fn cancel_some(tx: &Tx, endpoint: i64) -> Result<u64, StepError> {
    let ids: Vec<i64> = callback_event::Entity::find()
        .select_only()
        .column(Event::Id)
        .filter(Event::EndpointId.eq(endpoint))
        .filter(Event::Status.eq(CallbackStatus::Pending.as_str()))
        .limit(CANCELLED_TOGETHER)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let cancelled = callback_event::Entity::update_many()
        .col_expr(Event::Status, Expr::value(CallbackStatus::Cancelled.as_str()))
        .col_expr(Event::NextRunAt, tx.dialect().now())
        .col_expr(Event::ClaimedBy, null_text())
        .filter(Event::Id.is_in(padded(ids)))
        .exec(tx)
        .await?;
    Ok(cancelled.rows_affected)
}

fn per_second(limit: Option<NonZeroU32>) -> Option<i32> {
    limit.map(|limit| i32::try_from(limit.get()).unwrap_or(i32::MAX))
}

fn endpoint(row: Model) -> CallbackEndpoint {
    CallbackEndpoint {
        id: row.public_id,
        customer: row.customer_id,
        url: row.url,
        description: row.description,
        types: CallbackTypes::from_stored(&row.events),
        secret_version: u32::try_from(row.secret_version).unwrap_or(0),
        previous_until: row.previous_until.map(|time| time.and_utc()),
        enabled: row.enabled,
        disabled_reason: row.disabled_reason,
        failing_since: row.failing_since.map(|time| time.and_utc()),
        paused_until: row.paused_until.map(|time| time.and_utc()),
        per_second: row.per_second.and_then(|limit| u32::try_from(limit).ok()).and_then(NonZeroU32::new),
        created_at: row.created_at.and_utc(),
    }
}
