//! Listing messages newest first, page by page. Keyset pagination: a page costs the same at any depth.

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{CustomerId, Invalid, MessageId, MessageStatus};
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use crate::{
    Database, Error,
    dialect::Dialect,
    entity::message_status::{Column, Entity, Model},
    retry::{StepError, read},
    session::Session,
};

/// Where a page ended: the time and id of its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    created_at: NaiveDateTime,
    id: i64,
}

impl Cursor {
    pub(crate) fn new(created_at: NaiveDateTime, id: i64) -> Self {
        Self { created_at, id }
    }

    /// The cursor as clients carry it; they must not rely on its form.
    pub fn to_text(self) -> String {
        format!("{:x}-{:x}", self.created_at.and_utc().timestamp_micros(), self.id)
    }

    /// Parses what [`Cursor::to_text`] made.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let parsed = text.split_once('-').and_then(|(micros, id)| {
            let time = DateTime::from_timestamp_micros(i64::from_str_radix(micros, 16).ok()?)?;
            // What the database's time columns can hold.
            (0..=253_402_300_799).contains(&time.timestamp()).then_some(())?;
            Some(Self { created_at: time.naive_utc(), id: i64::from_str_radix(id, 16).ok()? })
        });
        parsed.ok_or_else(|| Invalid::new("cursor", "must be the next_cursor of an earlier answer"))
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, newest first.
    pub entries: Vec<T>,
    /// Where the next page starts, if there is one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Cuts `limit + 1` fetched rows to a page: the extra row only tells that there is more.
    pub(crate) fn cut(mut rows: Vec<T>, limit: u64, cursor_of: impl Fn(&T) -> Cursor) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(cursor_of);
        Self { entries: rows, next }
    }

    pub(crate) fn map<U>(self, convert: impl Fn(T) -> U) -> Page<U> {
        Page { entries: self.entries.into_iter().map(convert).collect(), next: self.next }
    }
}

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
    /// Who sent it.
    pub user_id: i64,
    /// `normal` or `express`.
    pub kind: String,
    /// Where it stands.
    pub status: String,
    /// To whom.
    pub recipient: String,
    /// The operator that took or refused it; empty before.
    pub provider: String,
    /// The request it belongs to.
    pub message_identifier: String,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Database {
    /// The newest messages that match `filter`, at most `limit`.
    pub async fn history(&self, filter: &HistoryFilter, limit: u64) -> Result<Page<HistoryEntry>, Error> {
        let dialect = self.dialect();
        read!(self, "history", "reading the history", |db| history(db, dialect, filter, limit).await)
    }
}

async fn history(
    db: &Session,
    dialect: Dialect,
    filter: &HistoryFilter,
    limit: u64,
) -> Result<Page<HistoryEntry>, StepError> {
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
            Some(cursor) => query.filter(after_cursor(dialect, Column::CreatedAt, Column::Id, cursor)),
            None => query,
        };
        query.order_by_desc(Column::CreatedAt)
    } else {
        match filter.cursor {
            Some(cursor) => query.filter(Column::Id.lt(cursor.id)),
            None => query,
        }
    };
    let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
    Ok(Page::cut(rows, limit, |row| Cursor::new(row.created_at, row.id)).map(entry))
}

/// Rows that come after `cursor` in the order of (time, id) descending.
pub(crate) fn after_cursor(
    dialect: Dialect,
    created_at: impl ColumnTrait,
    id: impl ColumnTrait,
    cursor: Cursor,
) -> Condition {
    let time = || Expr::val(dialect.time(cursor.created_at));
    Condition::all()
        .add(Expr::col(created_at).lte(time()))
        .add(Condition::any().add(Expr::col(created_at).lt(time())).add(Expr::col(id).lt(cursor.id)))
}

fn entry(row: Model) -> HistoryEntry {
    HistoryEntry {
        user_id: row.user_id,
        kind: row.kind.to_ascii_lowercase(),
        status: row.status.to_ascii_lowercase(),
        recipient: row.recipient,
        provider: row.provider,
        message_identifier: row.message_identifier,
        created_at: row.created_at.and_utc(),
        updated_at: row.updated_at.and_utc(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        let time = DateTime::from_timestamp_micros(1_764_000_000_123_456).expect("in range").naive_utc();
        let cursor = Cursor::new(time, 42);
        assert_eq!(Cursor::parse(&cursor.to_text()), Ok(cursor));
    }

    #[test]
    fn odd_cursors_are_refused() {
        for wrong in ["", "-", "x-1", "1", "1-", "-1-1", "7fffffffffffffff-1", "1-ffffffffffffffffff", "1-1-1", "é-1"]
        {
            assert!(Cursor::parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn pages_end_where_the_rows_end() {
        let cursor_of = |id: &i64| Cursor::new(DateTime::UNIX_EPOCH.naive_utc(), *id);
        assert_eq!(Page::cut(vec![3, 2], 2, cursor_of).next, None);
        let page = Page::cut(vec![3, 2, 1], 2, cursor_of);
        assert_eq!((page.entries, page.next.map(|cursor| cursor.id)), (vec![3, 2], Some(2)));
    }
}
