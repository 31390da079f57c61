//! The senders that customers may send from, where they have to be registered.

use chrono::{DateTime, Utc};
use domain::{CustomerId, Sender};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, SqlErr};

use crate::{
    Cursor, Database, Error, Page, Query, Reader, Stored,
    engine::{Session, StepError, Tx, reading, transaction},
    entity::customer_sender::{ActiveModel, Column, Entity, Model},
};

/// A sender that a customer may send from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSender {
    /// Whose it is; in a row that was made by hand it may be no customer's id.
    pub customer: i64,
    /// What recipients see.
    pub sender: Stored<Sender>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

impl Database {
    /// Registers a sender for a customer; one that is registered already stays as it is.
    pub async fn register_sender(&self, customer: CustomerId, sender: &Sender) -> Result<RegisteredSender, Error> {
        transaction!(self, Query::SenderRegister, |tx| register(tx, customer, sender)).await
    }

    /// Takes a customer's sender back. Tells whether there was one.
    pub async fn remove_sender(&self, customer: CustomerId, sender: &Sender) -> Result<bool, Error> {
        transaction!(self, Query::SenderRemove, |tx| async {
            let removed = Entity::delete_many()
                .filter(Column::CustomerId.eq(customer.get()))
                .filter(Column::Sender.eq(sender.as_str()))
                .exec(tx)
                .await?;
            Ok(removed.rows_affected > 0)
        })
        .await
    }

    /// Registered senders, newest first.
    pub async fn senders(
        &self,
        whose: Reader,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<RegisteredSender>, Error> {
        reading!(self, Query::SenderList, |db| list(db, whose, cursor, limit)).await
    }

    /// Whether the customer may send from this.
    pub async fn is_registered(&self, customer: CustomerId, sender: &Sender) -> Result<bool, Error> {
        reading!(self, Query::SenderCheck, |db| async {
            Ok(this(customer, sender).select_only().column(Column::Id).into_tuple::<i64>().one(db).await?.is_some())
        })
        .await
    }
}

fn this(customer: CustomerId, sender: &Sender) -> Select<Entity> {
    Entity::find().filter(Column::CustomerId.eq(customer.get())).filter(Column::Sender.eq(sender.as_str()))
}

async fn register(tx: &Tx, customer: CustomerId, sender: &Sender) -> Result<RegisteredSender, StepError> {
    let row =
        ActiveModel { customer_id: Set(customer.get()), sender: Set(sender.as_str().to_owned()), ..Default::default() };
    match Entity::insert(row).exec_without_returning(tx).await {
        Ok(_) => {}
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = || Error::Inconsistent { table: "customer_senders", what: format!("a sender of {customer} is gone") };
    Ok(this(customer, sender).one(tx).await?.map(registered).ok_or_else(gone)?)
}

async fn list(
    db: &Session,
    whose: Reader,
    cursor: Option<Cursor>,
    limit: u64,
) -> Result<Page<RegisteredSender>, StepError> {
    let mut query = Entity::find();
    if let Some(customer) = whose.customer() {
        query = query.filter(Column::CustomerId.eq(customer.get()));
    }
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.id()));
    }
    // Of one customer the ids are not in the order of its index; it has few senders.
    let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
    Ok(Page::cut(rows, limit, |row| Cursor::new(row.created_at, row.id)).map(registered))
}

fn registered(row: Model) -> RegisteredSender {
    RegisteredSender {
        customer: row.customer_id,
        sender: Stored::text(row.sender),
        created_at: row.created_at.and_utc(),
    }
}
