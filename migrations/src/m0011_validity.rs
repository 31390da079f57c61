//! For how long a message may be sent, and from when on: of requests that say so.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0011_validity",
    // A scheduled message is in a state that older releases leave alone.
    older: Older::GoOn,
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

const MYSQL: &[Step] = &[
    Step::Column("message_details", "expires_at", "ALTER TABLE message_details ADD COLUMN expires_at DATETIME(6) NULL"),
    Step::Column("message_details", "send_at", "ALTER TABLE message_details ADD COLUMN send_at DATETIME(6) NULL"),
];

const MYSQL_DOWN: &[&str] = &["ALTER TABLE message_details DROP COLUMN send_at, DROP COLUMN expires_at"];

const SQLITE: &[Step] = &[
    Step::Column("message_details", "expires_at", "ALTER TABLE message_details ADD COLUMN expires_at DATETIME NULL"),
    Step::Column("message_details", "send_at", "ALTER TABLE message_details ADD COLUMN send_at DATETIME NULL"),
];

const SQLITE_DOWN: &[&str] =
    &["ALTER TABLE message_details DROP COLUMN send_at", "ALTER TABLE message_details DROP COLUMN expires_at"];
