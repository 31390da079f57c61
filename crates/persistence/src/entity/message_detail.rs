//! What a message is beyond its text; only of requests that used a field for it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_details")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_identifier: String,
    pub user_id: i64,
    pub sender: Option<String>,
    pub encoding: String,
    pub client_reference: Option<String>,
    /// Where its events go instead of to the endpoint's own URL.
    pub callback_url: Option<String>,
    pub created_at: DateTime,
    /// When it may not be sent any more.
    pub expires_at: Option<DateTime>,
    /// When it was to be sent, where that was not at once.
    pub send_at: Option<DateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
