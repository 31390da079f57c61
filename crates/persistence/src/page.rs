//! Keyset pagination: a page costs the same at any depth.

use chrono::{DateTime, NaiveDateTime};
use domain::Invalid;
use sea_orm::{ColumnTrait, Condition, ExprTrait, sea_query::Expr};

use crate::engine::dialect::Dialect;

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

    pub(crate) fn id(self) -> i64 {
        self.id
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

/// Rows that come no later than the one of `cursor`, which is among them, in the same order.
pub(crate) fn up_to_cursor(
    dialect: Dialect,
    created_at: impl ColumnTrait,
    id: impl ColumnTrait,
    cursor: Cursor,
) -> Condition {
    let time = || Expr::val(dialect.time(cursor.created_at));
    Condition::all()
        .add(Expr::col(created_at).gte(time()))
        .add(Condition::any().add(Expr::col(created_at).gt(time())).add(Expr::col(id).gte(cursor.id)))
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
