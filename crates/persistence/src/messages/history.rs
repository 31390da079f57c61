//! Listing messages newest first, page by page.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{
    ClientReference, CustomerId, DeliveryStatus, MessageId, MessageStatus, MessageType, Recipient, status::SCHEDULED,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::{
    details::{MessageDetails, of_messages},
    filter::HistoryFilter,
    references::history_of_reference,
};
use crate::{
    Cursor, Database, Error, Page, Query, Stored,
    engine::{Session, StepError, dialect::Dialect, reading},
    entity::message_status::{Column, Entity, Model},
    page::{after_cursor, up_to_cursor},
};

/// Rows that a page looks at, where it lists those of one state.
const LOOKED_AT: u64 = 5_000;

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
    /// What receipts tell of it.
    pub delivery_status: Option<Stored<DeliveryStatus>>,
    /// Why it was not delivered, in the operator's words.
    pub error_code: Option<String>,
    /// Where the request said more than text, recipients and type.
    pub extra: Option<Extra>,
}

/// What a message has whose request said more than text, recipients and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// The segments of its text.
    pub segments: Option<i16>,
    /// What was charged for this recipient.
    pub price: Option<i64>,
    /// What the request said.
    pub details: MessageDetails,
}

impl Database {
    /// The newest messages that match `filter`, at most `limit`. A page of one state may hold fewer, even none, and yet have a next
    /// one: it looks at a bounded number of rows.
    pub async fn history(&self, filter: &HistoryFilter, limit: u64) -> Result<Page<HistoryEntry>, Error> {
        reading!(self, Query::History, |db| async {
            let page = history(db, filter, limit).await?;
            with_details(db, page).await
        })
        .await
    }

    /// Those of this customer's messages that it gave this reference, in the order of [`history`](Self::history); of `filter` the
    /// states, the request and the cursor count.
    pub async fn history_of_reference(
        &self,
        customer: CustomerId,
        reference: &ClientReference,
        filter: &HistoryFilter,
        limit: u64,
    ) -> Result<Page<HistoryEntry>, Error> {
        reading!(self, Query::History, |db| async {
            let page = history_of_reference(db, customer, reference, filter, limit).await?;
            with_details(db, page).await
        })
        .await
    }
}

async fn history(db: &Session, filter: &HistoryFilter, limit: u64) -> Result<Page<Model>, StepError> {
    let mut query = narrowed(db, filter);
    // Rows of one state may lie far apart, and no index holds states: a page looks at so many rows and the next one goes on there.
    let last = match &filter.message_id {
        None if filter.is_by_state() => last_to_look_at(db, filter).await?,
        _ => None,
    };
    if let Some(last) = last {
        query = query.filter(not_after(db.dialect(), filter, last));
    }
    if let Some(status) = filter.status {
        query = query.filter(match status {
            // What waits for its time is pending to clients.
            MessageStatus::Pending => Column::Status.is_in([status.as_str(), SCHEDULED]),
            status => Column::Status.eq(status.as_str()),
        });
    }
    if let Some(status) = filter.delivery_status {
        query = query.filter(Column::DeliveryStatus.eq(status.as_str()));
    }
    if let Some(message_id) = &filter.message_id {
        query = query.filter(Column::MessageIdentifier.eq(message_id.as_str()));
    }
    let rows = newest_first(query, filter).limit(limit + 1).all(db).await?;
    let page = Page::cut(rows, limit, |row| Cursor::new(row.created_at, row.id));
    Ok(Page { next: page.next.or(last), ..page })
}

/// The customer's rows after the cursor, or everybody's. With a customer `(user_id, created_at, id)` is an index in the order
/// wanted. Without one the rows are read by primary key, whose order differs from the time's only among requests of the same
/// instant.
fn narrowed(db: &Session, filter: &HistoryFilter) -> Select<Entity> {
    let query = Entity::find();
    match (filter.customer(), filter.cursor) {
        (Some(customer), Some(cursor)) => query.filter(Column::UserId.eq(customer.get())).filter(after_cursor(
            db.dialect(),
            Column::CreatedAt,
            Column::Id,
            cursor,
        )),
        (Some(customer), None) => query.filter(Column::UserId.eq(customer.get())),
        (None, Some(cursor)) => query.filter(Column::Id.lt(cursor.id())),
        (None, None) => query,
    }
}

fn newest_first(query: Select<Entity>, filter: &HistoryFilter) -> Select<Entity> {
    let query = if filter.customer().is_some() { query.order_by_desc(Column::CreatedAt) } else { query };
    query.order_by_desc(Column::Id)
}

/// The last of the rows that one page looks at; `None` where there are fewer. Read from the index alone.
async fn last_to_look_at(db: &Session, filter: &HistoryFilter) -> Result<Option<Cursor>, StepError> {
    let query = narrowed(db, filter).select_only().columns([Column::CreatedAt, Column::Id]);
    let last: Option<(NaiveDateTime, i64)> =
        newest_first(query, filter).offset(LOOKED_AT - 1).limit(1).into_tuple().one(db).await?;
    Ok(last.map(|(created_at, id)| Cursor::new(created_at, id)))
}

/// Rows up to this one, in the order of the listing.
fn not_after(dialect: Dialect, filter: &HistoryFilter, last: Cursor) -> Condition {
    if filter.customer().is_some() {
        up_to_cursor(dialect, Column::CreatedAt, Column::Id, last)
    } else {
        Condition::all().add(Column::Id.gte(last.id()))
    }
}

/// Adds what is kept of the requests that said more. A row that knows its segments may be of one; where none does nothing is asked.
async fn with_details(db: &Session, page: Page<Model>) -> Result<Page<HistoryEntry>, StepError> {
    let may_have = page.entries.iter().filter(|row| row.segments.is_some());
    let ids: BTreeSet<&str> = may_have.map(|row| row.message_identifier.as_str()).collect();
    let details = of_messages(db, &ids.into_iter().collect::<Vec<_>>()).await?;
    Ok(page.map(|row| {
        let details = details.get(&row.message_identifier).cloned();
        entry(row, details)
    }))
}

fn entry(row: Model, details: Option<MessageDetails>) -> HistoryEntry {
    HistoryEntry {
        extra: details.map(|details| Extra { segments: row.segments, price: row.price, details }),
        user_id: row.user_id,
        kind: Stored::word(&row.kind, |kind| MessageType::parse(kind).ok()),
        status: Stored::word(&row.status, MessageStatus::of_stored),
        recipient: Stored::text(row.recipient),
        provider: row.provider,
        message_id: Stored::text(row.message_identifier),
        created_at: row.created_at.and_utc(),
        updated_at: row.updated_at.and_utc(),
        delivery_status: row
            .delivery_status
            .map(|status| Stored::word(&status, |word| DeliveryStatus::parse(word).ok())),
        error_code: row.error_code,
    }
}
