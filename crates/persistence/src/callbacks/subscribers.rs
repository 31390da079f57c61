//! Finding out which customers have endpoints.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    Database, Error, Query,
    engine::reading,
    entity::callback_endpoint::{Column, Entity},
};

/// How often it is looked again: so late is a first endpoint known elsewhere.
const EVERY: Duration = Duration::from_secs(10);
/// Rows of one look.
const PAGE: u64 = 10_000;

impl Database {
    /// Looks again and again which customers have endpoints, and never returns: for the time that a process writes states. Until the
    /// first look every change asks the database.
    pub async fn watch_callback_customers(self) {
        loop {
            self.migrated().await;
            if let Err(error) = self.refresh_callback_customers().await {
                tracing::debug!(error = error.with_cause(), "the customers with endpoints stay as they were known");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Looks once.
    pub async fn refresh_callback_customers(&self) -> Result<(), Error> {
        let (mut customers, mut after) = (Vec::new(), 0);
        loop {
            let page = self.customers_with_endpoints(after).await?;
            let is_last = (page.len() as u64) < PAGE;
            after = page.last().copied().unwrap_or(after);
            customers.extend(page);
            if is_last {
                break;
            }
        }
        self.watch_list().set(customers.into_iter().collect());
        Ok(())
    }

    /// A page of them, from the customer after this one on. A customer has few rows, so a page never holds those of one alone.
    async fn customers_with_endpoints(&self, after: i64) -> Result<Vec<i64>, Error> {
        reading!(self, Query::CallbackCustomers, |db| async {
            let customers = Entity::find()
                .select_only()
                .column(Column::CustomerId)
                .filter(Column::CustomerId.gt(after))
                .order_by_asc(Column::CustomerId)
                .limit(PAGE)
                .into_tuple()
                .all(db)
                .await?;
            Ok(customers)
        })
        .await
    }

    /// Whether anybody has an endpoint.
    pub async fn has_callback_endpoints(&self) -> Result<bool, Error> {
        reading!(self, Query::CallbackAny, |db| async {
            let first = Entity::find().select_only().column(Column::Id).filter(Column::Id.gt(0));
            Ok(first.order_by_asc(Column::Id).limit(1).into_tuple::<i64>().one(db).await?.is_some())
        })
        .await
    }
}
