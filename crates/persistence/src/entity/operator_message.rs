//! What operators call the messages that they took: a row for each part.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "operator_messages")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub operator: String,
    /// As it is compared.
    pub provider_id: String,
    /// As it was given, where that differs.
    pub given_id: Option<String>,
    /// `message_status.id`.
    pub message_row: i64,
    pub part: i16,
    pub parts: i16,
    /// What its receipts told so far.
    pub state: Option<String>,
    pub created_at: DateTime,
    /// Until when a receipt is waited for; `None` where none is, or no longer.
    pub receipt_due_at: Option<DateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
