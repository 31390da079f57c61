//! Where customers are told of what becomes of their messages.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "callback_endpoints")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub public_id: String,
    pub customer_id: i64,
    pub url: String,
    pub description: Option<String>,
    /// Names of types, with commas in between.
    pub events: String,
    pub secret_version: i32,
    /// Until when the version before signs too.
    pub previous_until: Option<DateTime>,
    pub enabled: bool,
    pub disabled_reason: Option<String>,
    /// The first failure since it last took something.
    pub failing_since: Option<DateTime>,
    pub paused_until: Option<DateTime>,
    /// In a row.
    pub failures: i32,
    pub per_second: Option<i32>,
    pub created_at: DateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
