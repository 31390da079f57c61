//! What operators told of messages: each different report once.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "receipts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub operator: String,
    /// As it is compared.
    pub provider_id: String,
    /// Digits alone, in the operator's form.
    pub recipient: Option<String>,
    pub state: String,
    pub error_code: Option<String>,
    pub part: Option<i16>,
    pub digest: Vec<u8>,
    /// `message_status.id`; `None` while it waits for its message, 0 where that was given up.
    pub matched_row: Option<i64>,
    pub received_at: DateTime,
    /// Its id is as the operator answered it: the same number in other digits is another message's.
    pub exact: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
