//! The ledger: one row for each change of a balance, never changed afterwards.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_transactions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: i64,
    pub amount: i64,
    pub transaction_type: String,
    pub description: Option<String>,
    pub transaction_id: String,
    pub created_at: DateTime,
    /// The charge that this row gives back for one recipient; unique together with `recipient`.
    pub refund_of: Option<String>,
    pub recipient: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
