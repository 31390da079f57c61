//! Which releases may work on the schema, written down by the changes themselves, so that a release can tell of a change it does
//! not know whether it may go on (see `compatibility`).

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0006_schema_compatibility",
    older: Older::Unasked,
    mysql: MYSQL,
    mysql_down: DROP_TABLE,
    sqlite: SQLITE,
    sqlite_down: DROP_TABLE,
};

const DROP_TABLE: &[&str] = &["DROP TABLE IF EXISTS schema_compatibility"];

const MYSQL: &[Step] = &[Step::Repeatable(
    "CREATE TABLE IF NOT EXISTS schema_compatibility (
        migration VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        oldest_binary INT NOT NULL
    ) ENGINE=InnoDB",
)];

const SQLITE: &[Step] = &[Step::Repeatable(
    "CREATE TABLE IF NOT EXISTS schema_compatibility (
        migration VARCHAR(255) NOT NULL PRIMARY KEY,
        oldest_binary INTEGER NOT NULL
    )",
)];
