//! The few expressions that MySQL and SQLite spell differently.

use std::time::Duration;

use chrono::NaiveDateTime;
use sea_orm::{
    DbBackend, Value,
    sea_query::{Expr, SimpleExpr},
};

/// Which SQL to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    MySql,
    Sqlite,
}

impl Dialect {
    pub(crate) fn of(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Sqlite => Self::Sqlite,
            _ => Self::MySql,
        }
    }

    /// The database's own clock, UTC.
    pub(crate) fn now(self) -> SimpleExpr {
        Expr::cust(self.now_text())
    }

    /// As [`Dialect::now`].
    pub(crate) fn now_text(self) -> &'static str {
        match self {
            Self::MySql => "UTC_TIMESTAMP(6)",
            Self::Sqlite => "strftime('%Y-%m-%d %H:%M:%f', 'now')",
        }
    }

    /// `delay` from now on the database's clock.
    pub(crate) fn after(self, delay: Duration) -> SimpleExpr {
        self.shifted(delay, 1)
    }

    /// `age` before now on the database's clock.
    pub(crate) fn before(self, age: Duration) -> SimpleExpr {
        self.shifted(age, -1)
    }

    /// As [`Dialect::after`], with a placeholder for [`Dialect::delay`].
    pub(crate) fn after_text(self) -> &'static str {
        match self {
            // Bound, not written out: one prepared statement serves every delay.
            Self::MySql => "UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND",
            Self::Sqlite => "strftime('%Y-%m-%d %H:%M:%f', 'now', ?)",
        }
    }

    pub(crate) fn delay(self, delay: Duration) -> Value {
        self.shift(delay, 1)
    }

    /// The value of [`Dialect::after_text`] for a time that lies so far behind.
    pub(crate) fn ago(self, age: Duration) -> Value {
        self.shift(age, -1)
    }

    fn shifted(self, by: Duration, sign: i64) -> SimpleExpr {
        Expr::cust_with_values(self.after_text(), [self.shift(by, sign)])
    }

    fn shift(self, by: Duration, sign: i64) -> Value {
        match self {
            Self::MySql => (sign * i64::try_from(by.as_micros()).unwrap_or(i64::MAX / 2)).into(),
            Self::Sqlite => format!("{:+.3} seconds", by.as_secs_f64() * if sign < 0 { -1.0 } else { 1.0 }).into(),
        }
    }

    /// Whole milliseconds since the time in `column`; negative while it lies ahead, NULL where it is NULL.
    /// How many elements an array within a JSON text has; NULL of a text that is none.
    pub(crate) fn json_length(self, column: &str, path: &str) -> SimpleExpr {
        let length = match self {
            Self::MySql => "JSON_LENGTH",
            Self::Sqlite => "json_array_length",
        };
        Expr::cust(format!("CASE WHEN JSON_VALID({column}) THEN {length}({column}, '{path}') END"))
    }

    /// Milliseconds since the time in this column, as text.
    pub(crate) fn millis_text(self, column: &str) -> String {
        match self {
            Self::MySql => format!("TIMESTAMPDIFF(MICROSECOND, {column}, UTC_TIMESTAMP(6)) DIV 1000"),
            Self::Sqlite => {
                format!("CAST(round((julianday('now') - julianday({column})) * 86400000.0) AS INTEGER)")
            }
        }
    }

    /// As [`Dialect::millis_text`], of an expression.
    pub(crate) fn millis_since(self, column: impl Into<SimpleExpr>) -> SimpleExpr {
        match self {
            Self::MySql => {
                Expr::cust_with_exprs("TIMESTAMPDIFF(MICROSECOND, ?, UTC_TIMESTAMP(6)) DIV 1000", [column.into()])
            }
            Self::Sqlite => Expr::cust_with_exprs(
                "CAST(round((julianday('now') - julianday(?)) * 86400000.0) AS INTEGER)",
                [column.into()],
            ),
        }
    }

    /// A time to compare a column with. SQLite compares text, so it must have the column's own form.
    pub(crate) fn time(self, time: NaiveDateTime) -> Value {
        match self {
            Self::MySql => time.into(),
            Self::Sqlite => time.format("%Y-%m-%d %H:%M:%S%.3f").to_string().into(),
        }
    }

    /// Most rows of one INSERT: MySQL allows 65,535 placeholders, SQLite 32,766; no table here has more
    /// than 16 columns.
    pub(crate) const INSERT_ROWS: usize = 1_024;
}
