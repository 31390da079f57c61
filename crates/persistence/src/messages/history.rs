//! Listing messages newest first, page by page.

use chrono::{DateTime, Utc};
use domain::{CustomerId, MessageId, MessageStatus, MessageType, Recipient};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    Cursor, Database, Error, Page, Query, Stored,
    engine::{Session, StepError, reading},
    entity::message_status::{Column, Entity, Model},
    page::after_cursor,
};

/// Which messages to list; what is `None` does not narrow the list.
#[derive(Debug, Clone, Default)]
pub struct HistoryFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// In this state.
    pub status: Option<MessageStatus>,
    /// Of this request.
    pub message_id: Option<MessageId>,
    /// After this place.
    pub cursor: Option<Cursor>,
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Who sent it; in a row that was made by hand it may be no customer's id.
    pub user_id: i64,
    /// How urgent it is.
    pub kind: Stored<MessageType>,
    /// Where it stands.
    pub status: Stored<MessageStatus>,
    /// To whom.
    pub recipient: Stored<Recipient>,
    /// The operator that took or refused it; empty before.
    pub provider: String,
    /// The request it belongs to.
    pub message_id: Stored<MessageId>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Database {
    /// The newest messages that match `filter`, at most `limit`.
    pub async fn history(&self, filter: &HistoryFilter, limit: u64) -> Result<Page<HistoryEntry>, Error> {
        reading!(self, Query::History, |db| history(db, filter, limit)).await
    }
}

async fn history(db: &Session, filter: &HistoryFilter, limit: u64) -> Result<Page<HistoryEntry>, StepError> {
    let mut query = Entity::find();
    if let Some(customer) = filter.customer {
        query = query.filter(Column::UserId.eq(customer.get()));
    }
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status.as_str()));
    }
    if let Some(message_id) = &filter.message_id {
        query = query.filter(Column::MessageIdentifier.eq(message_id.as_str()));
    }
    // With a customer, (user_id, [status,] created_at, id) is an index in the order wanted. Without one the rows
    // are read by primary key, whose order differs from the time's only among requests of the same instant.
    let query = if filter.customer.is_some() {
        let query = match filter.cursor {
            Some(cursor) => query.filter(after_cursor(db.dialect(), Column::CreatedAt, Column::Id, cursor)),
            None => query,
        };
        query.order_by_desc(Column::CreatedAt)
    } else {
        match filter.cursor {
            Some(cursor) => query.filter(Column::Id.lt(cursor.id())),
            None => query,
        }
    };
    let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
    Ok(Page::cut(rows, limit, |row| Cursor::new(row.created_at, row.id)).map(entry))
}

fn entry(row: Model) -> HistoryEntry {
    HistoryEntry {
        user_id: row.user_id,
        kind: Stored::word(&row.kind, |kind| MessageType::parse(kind).ok()),
        status: Stored::word(&row.status, |status| MessageStatus::parse(status).ok()),
        recipient: Stored::text(row.recipient),
        provider: row.provider,
        message_id: Stored::text(row.message_identifier),
        created_at: row.created_at.and_utc(),
        updated_at: row.updated_at.and_utc(),
    }
}
