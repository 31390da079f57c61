//! What is kept of messages whose request used a field beyond text, recipients and type; and one message with its recipients.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{ClientReference, DeliveryStatus, Encoding, MessageId, MessageStatus, MessageType, Recipient, Sender};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func},
};

use super::operator_messages::{self, OperatorMessage};
use crate::{
    Cursor, Database, Error, Page, Query, Reader, Stored,
    engine::{Session, StepError, reading, statements::padded},
    entity::{
        message_detail::{self, Column as Details},
        message_status::{Column, Entity, Model},
    },
};

/// What a request said beyond text, recipients and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDetails {
    /// From whom.
    pub sender: Option<Stored<Sender>>,
    /// How it goes over the air.
    pub encoding: Stored<Encoding>,
    /// The client's own name for it.
    pub client_reference: Option<Stored<ClientReference>>,
    /// When it may not be sent any more.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it is, or was, to be sent, where that was not at once.
    pub send_at: Option<DateTime<Utc>>,
}

/// One message with a page of its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageOverview {
    /// Who sent it.
    pub user_id: i64,
    /// How urgent it is.
    pub kind: Stored<MessageType>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// What was charged for all recipients; `None` in rows of the reference.
    pub price: Option<i64>,
    /// How many segments its text has, where that is known.
    pub segments: Option<i16>,
    /// What the request said beyond text, recipients and type.
    pub details: Option<MessageDetails>,
    /// To whom it goes, newest row first.
    pub recipients: Page<RecipientEntry>,
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientEntry {
    /// To whom.
    pub recipient: Stored<Recipient>,
    /// Where it stands.
    pub status: Stored<MessageStatus>,
    /// The operator that took or refused it; empty before.
    pub provider: String,
    /// What was charged for it.
    pub price: Option<i64>,
    /// What receipts tell of it.
    pub delivery_status: Option<Stored<DeliveryStatus>>,
    /// Why it was not delivered, in the operator's words.
    pub error_code: Option<String>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// What operators call it.
    pub operator_messages: Vec<OperatorMessage>,
}

/// What one message was charged, for an answer that is given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charged {
    /// For all recipients.
    pub price: i64,
    /// The segments of its text.
    pub segments: Option<i16>,
    /// Whether it was accepted to be sent later.
    pub scheduled: bool,
}

impl Database {
    /// A message and a page of its recipients; `None` where there is none that `reader` may see.
    pub async fn message(
        &self,
        reader: Reader,
        id: &MessageId,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Option<MessageOverview>, Error> {
        reading!(self, Query::Message, |db| message(db, reader, id, cursor, limit)).await
    }

    /// What a message was charged; `None` where there is none of this customer.
    pub async fn charged(&self, reader: Reader, id: &MessageId) -> Result<Option<Charged>, Error> {
        reading!(self, Query::MessageCharged, |db| async {
            let Some(charged) = charged(db, reader, id).await? else { return Ok(None) };
            let details = of_messages(db, &[id.as_str()]).await?.remove(id.as_str());
            Ok(Some(Charged { scheduled: details.is_some_and(|details| details.send_at.is_some()), ..charged }))
        })
        .await
    }
}

async fn message(
    db: &Session,
    reader: Reader,
    id: &MessageId,
    cursor: Option<Cursor>,
    limit: u64,
) -> Result<Option<MessageOverview>, StepError> {
    let Some(charged) = charged(db, reader, id).await? else { return Ok(None) };
    let mut query = of(reader, id);
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.id()));
    }
    let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
    // Whatever page is asked for, what is said of the message is that of its rows; all of them say the same.
    let first = match rows.first() {
        Some(first) => first.clone(),
        None => match of(reader, id).one(db).await? {
            Some(first) => first,
            None => return Ok(None),
        },
    };
    let page = Page::cut(rows, limit, |row| Cursor::new(row.created_at, row.id));
    let ids: Vec<_> = page.entries.iter().map(|row| row.id).collect();
    let mut called = operator_messages::of_rows(db, &ids).await?;
    let details = of_messages(db, &[&first.message_identifier]).await?.remove(&first.message_identifier);
    let entry = |row: Model| {
        let operator_messages = called.remove(&row.id).unwrap_or_default();
        recipient_entry(row, operator_messages)
    };
    let recipients = Page { next: page.next, entries: page.entries.into_iter().map(entry).collect() };
    Ok(Some(MessageOverview {
        user_id: first.user_id,
        kind: Stored::word(&first.kind, |kind| MessageType::parse(kind).ok()),
        created_at: first.created_at.and_utc(),
        price: first.price.map(|_| charged.price),
        segments: charged.segments,
        details,
        recipients,
    }))
}

/// The message's rows, where the reader may see them.
fn of(reader: Reader, id: &MessageId) -> sea_orm::Select<Entity> {
    let query = Entity::find().filter(Column::MessageIdentifier.eq(id.as_str()));
    match reader.customer() {
        Some(customer) => query.filter(Column::UserId.eq(customer.get())),
        None => query,
    }
}

async fn charged(db: &Session, reader: Reader, id: &MessageId) -> Result<Option<Charged>, StepError> {
    // As an integer on both servers: MySQL adds up to a decimal.
    let sum = Func::coalesce([Column::Price.sum(), Expr::val(0)]);
    let sum = Expr::expr(sum).cast_as(match db.dialect() {
        crate::engine::dialect::Dialect::MySql => "SIGNED",
        crate::engine::dialect::Dialect::Sqlite => "INTEGER",
    });
    let row: Option<(i64, i64, Option<i16>)> = of(reader, id)
        .select_only()
        .expr_as(Column::Id.count(), "recipients")
        .expr_as(sum, "price")
        .expr_as(Column::Segments.max(), "segments")
        .into_tuple()
        .one(db)
        .await?;
    Ok(row.filter(|(recipients, ..)| *recipients > 0).map(|(_, price, segments)| Charged {
        price,
        segments,
        scheduled: false,
    }))
}

/// What is kept of these messages.
pub(super) async fn of_messages(db: &Session, ids: &[&str]) -> Result<HashMap<String, MessageDetails>, StepError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = message_detail::Entity::find()
        .filter(Details::MessageIdentifier.is_in(padded(ids.iter().copied())))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.message_identifier.clone(), details(row))).collect())
}

fn details(row: message_detail::Model) -> MessageDetails {
    MessageDetails {
        sender: row.sender.map(Stored::text),
        encoding: Stored::word(&row.encoding, Encoding::parse),
        client_reference: row.client_reference.map(Stored::text),
        expires_at: row.expires_at.map(|time| time.and_utc()),
        send_at: row.send_at.map(|time| time.and_utc()),
    }
}

fn recipient_entry(row: Model, operator_messages: Vec<OperatorMessage>) -> RecipientEntry {
    RecipientEntry {
        recipient: Stored::text(row.recipient),
        status: Stored::word(&row.status, MessageStatus::of_stored),
        provider: row.provider,
        price: row.price,
        delivery_status: row
            .delivery_status
            .map(|status| Stored::word(&status, |word| DeliveryStatus::parse(word).ok())),
        error_code: row.error_code,
        updated_at: row.updated_at.and_utc(),
        operator_messages,
    }
}
