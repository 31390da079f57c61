//! What an endpoint is to be told.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "callback_events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub public_id: String,
    pub customer_id: i64,
    /// `callback_endpoints.id`.
    pub endpoint_id: i64,
    /// Where it goes instead of to the endpoint's own URL.
    pub url: Option<String>,
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// The very text that is signed and sent.
    pub payload: String,
    pub status: String,
    /// Since it was last asked for.
    pub attempts: i32,
    /// Why it is due, where that is not its schedule.
    pub requested: Option<String>,
    /// When it is due; of one that is being sent when its lease ends, of one that ended when that was.
    pub next_run_at: DateTime,
    pub claimed_by: Option<String>,
    pub claimed_until: Option<DateTime>,
    pub created_at: DateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
