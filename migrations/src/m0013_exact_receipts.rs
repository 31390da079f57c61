//! Whether a receipt's id is written as its operator answered it, so that the same number in other digits is another message.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0013_exact_receipts",
    // They try other digits as well, as they always did.
    older: Older::GoOn,
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

const MYSQL: &[Step] =
    &[Step::Column("receipts", "exact", "ALTER TABLE receipts ADD COLUMN exact BOOLEAN NOT NULL DEFAULT FALSE")];

const MYSQL_DOWN: &[&str] = &["ALTER TABLE receipts DROP COLUMN exact"];

const SQLITE: &[Step] = MYSQL;

const SQLITE_DOWN: &[&str] = MYSQL_DOWN;
