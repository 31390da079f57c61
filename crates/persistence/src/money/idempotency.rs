//! Idempotency keys: saved in the transaction of the charge they belong to, kept for 24 hours.
//!
//! A key needs no lock of its own: requests of one customer are already in line at that customer's balance row.

use std::{collections::HashMap, time::Duration};

use domain::{CustomerId, IdempotencyKey};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QuerySelect,
    sea_query::Expr,
};

use crate::{
    engine::{StepError, Tx, statements::padded},
    entity::idempotency_key::{ActiveModel, Column, Entity},
};

/// How long a key is kept (the contract's 24 hours).
pub(crate) const KEPT_FOR: Duration = Duration::from_hours(24);

/// The route a key was used on; the same key on another route is another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST /messages/send`
    Send,
    /// `POST /balance/add`
    TopUp,
}

impl Route {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Send => "messages.send",
            Self::TopUp => "balance.add",
        }
    }
}

/// The client's key and a digest of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The key as sent.
    pub key: IdempotencyKey,
    /// SHA-256 of the request in hexadecimal, 64 characters: tells a retry from another request.
    pub fingerprint: String,
}

/// Keys are told apart by customer, within one route.
pub(crate) type KeyOf<'a> = (CustomerId, &'a str);

/// What is known of a key that was used before.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    pub(crate) fingerprint: String,
    /// The facts of the answer, as JSON.
    pub(crate) response: String,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    customer_id: i64,
    idempotency_key: String,
    fingerprint: String,
    response: String,
    expired: bool,
}

/// Reads the keys that were used before. Expired ones are deleted, so that they can be used anew.
pub(crate) async fn find(
    tx: &Tx,
    route: Route,
    keys: &[KeyOf<'_>],
) -> Result<HashMap<(i64, String), Saved>, StepError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let any_key = padded(keys).into_iter().fold(Condition::any(), |any, (customer, key)| {
        // The route stands in each term so that every term is one lookup in the unique index.
        any.add(
            Condition::all()
                .add(Column::CustomerId.eq(customer.get()))
                .add(Column::Route.eq(route.as_str()))
                .add(Column::IdempotencyKey.eq(*key)),
        )
    });
    let expired = Expr::col(Column::CreatedAt).lte(tx.dialect().before(KEPT_FOR));
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::CustomerId, Column::IdempotencyKey, Column::Fingerprint, Column::Response])
        .expr_as(expired, "expired")
        .filter(any_key)
        .into_model::<Row>()
        .all(tx)
        .await?;
    let (old, fresh): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.expired);
    if !old.is_empty() {
        let ids = old.into_iter().map(|row| row.id);
        Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?;
    }
    let saved = |row: Row| {
        ((row.customer_id, row.idempotency_key), Saved { fingerprint: row.fingerprint, response: row.response })
    };
    Ok(fresh.into_iter().map(saved).collect())
}

/// A row that saves the facts of an answer.
pub(crate) fn row(customer: CustomerId, route: Route, request: &IdempotentRequest, response: String) -> ActiveModel {
    ActiveModel {
        customer_id: Set(customer.get()),
        route: Set(route.as_str().to_owned()),
        idempotency_key: Set(request.key.as_str().to_owned()),
        fingerprint: Set(request.fingerprint.clone()),
        response: Set(response),
        ..Default::default()
    }
}
