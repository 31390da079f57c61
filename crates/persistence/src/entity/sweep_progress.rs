//! How far searches that go along an index have come.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sweep_progress")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub task: String,
    /// All before this was looked at.
    pub done_until: DateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
