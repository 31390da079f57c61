//! What became of each attempt to tell an endpoint.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "callback_attempts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// `callback_events.id`.
    pub event_id: i64,
    pub at: DateTime,
    pub duration_ms: i32,
    pub status_code: Option<i16>,
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response: Vec<u8>,
    pub trigger: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
