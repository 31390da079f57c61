//! Events that wait to be published, in the order of their turns.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox_events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub event_type: String,
    /// JSON, as a text to write. MySQL gives it out as a type of its own, so rows are never read as a whole; claims read it as JSON.
    pub payload: String,
    pub priority: i32,
    pub status: String,
    pub attempts: i32,
    pub next_run_at: Option<DateTime>,
    pub last_error: Option<String>,
    pub created_at: DateTime,
    pub updated_at: DateTime,
    /// Generated from `priority`: 1 is express, 0 is normal.
    pub lane: Option<i8>,
    pub user_id: Option<i64>,
    pub traceparent: Option<String>,
    pub claimed_by: Option<String>,
    pub claimed_until: Option<DateTime>,
    /// Lower ones are claimed first; 0 for rows of the reference and those inserted by hand.
    pub turn: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
