//! One row for each recipient of a message.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_status")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: i64,
    pub status: String,
    #[sea_orm(column_name = "type")]
    pub kind: String,
    pub recipient: String,
    pub provider: String,
    pub message_identifier: String,
    pub created_at: DateTime,
    pub updated_at: DateTime,
    /// What this recipient cost; `None` in rows that the reference wrote.
    pub price: Option<i64>,
    /// The charge in the ledger; `None` in rows that the reference wrote.
    pub transaction_id: Option<String>,
    pub claimed_by: Option<String>,
    pub claimed_until: Option<DateTime>,
    /// How many the text has; only where the request asked about it or is charged by it.
    pub segments: Option<i16>,
    pub delivery_status: Option<String>,
    pub error_code: Option<String>,
    /// When the receipt came that told of its delivery.
    pub delivered_at: Option<DateTime>,
    /// Changes of it that its customer's endpoints were told of.
    pub sequence: Option<i32>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
