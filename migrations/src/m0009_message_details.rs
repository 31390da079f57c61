//! What a message is beyond its text: sender, encoding, segments, the client's reference, and what operators call it.
//!
//! `message_details` has a row only where a request used one of the new fields; a plain one is stored as before. `delivery_status` and
//! `error_code` wait for receipts: the large table is changed once.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0009_message_details",
    older: Older::GoOn,
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

const MYSQL: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS message_details (
            message_identifier VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
            user_id BIGINT NOT NULL,
            sender VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
            encoding VARCHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            client_reference VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
            created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            INDEX idx_message_details_reference (user_id, client_reference, message_identifier)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS operator_messages (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            operator VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            provider_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            given_id VARCHAR(255) NULL,
            message_row BIGINT NOT NULL,
            part SMALLINT NOT NULL DEFAULT 1,
            parts SMALLINT NOT NULL DEFAULT 1,
            state VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NULL,
            created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            INDEX idx_operator_messages_provider_id (operator, provider_id, id),
            INDEX idx_operator_messages_row (message_row),
            INDEX idx_operator_messages_created (created_at)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Column("message_status", "segments", "ALTER TABLE message_status ADD COLUMN segments SMALLINT NULL"),
    Step::Column(
        "message_status",
        "delivery_status",
        "ALTER TABLE message_status
            ADD COLUMN delivery_status VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NULL",
    ),
    Step::Column(
        "message_status",
        "error_code",
        "ALTER TABLE message_status ADD COLUMN error_code VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL",
    ),
];

const MYSQL_DOWN: &[&str] = &[
    "ALTER TABLE message_status DROP COLUMN error_code, DROP COLUMN delivery_status, DROP COLUMN segments",
    "DROP TABLE IF EXISTS operator_messages",
    "DROP TABLE IF EXISTS message_details",
];

const SQLITE: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS message_details (
            message_identifier VARCHAR(50) NOT NULL PRIMARY KEY,
            user_id BIGINT NOT NULL,
            sender VARCHAR(16) NULL,
            encoding VARCHAR(4) NOT NULL,
            client_reference VARCHAR(64) NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
        )",
    ),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_message_details_reference
            ON message_details (user_id, client_reference, message_identifier)",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS operator_messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            operator VARCHAR(50) NOT NULL,
            provider_id VARCHAR(64) NOT NULL,
            given_id VARCHAR(255) NULL,
            message_row BIGINT NOT NULL,
            part SMALLINT NOT NULL DEFAULT 1,
            parts SMALLINT NOT NULL DEFAULT 1,
            state VARCHAR(12) NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
        )",
    ),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_operator_messages_provider_id ON operator_messages (operator, provider_id, id)",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_operator_messages_row ON operator_messages (message_row)"),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_operator_messages_created ON operator_messages (created_at)"),
    Step::Column("message_status", "segments", "ALTER TABLE message_status ADD COLUMN segments SMALLINT NULL"),
    Step::Column(
        "message_status",
        "delivery_status",
        "ALTER TABLE message_status ADD COLUMN delivery_status VARCHAR(12) NULL",
    ),
    Step::Column("message_status", "error_code", "ALTER TABLE message_status ADD COLUMN error_code VARCHAR(16) NULL"),
];

const SQLITE_DOWN: &[&str] = &[
    "ALTER TABLE message_status DROP COLUMN error_code",
    "ALTER TABLE message_status DROP COLUMN delivery_status",
    "ALTER TABLE message_status DROP COLUMN segments",
    "DROP TABLE IF EXISTS operator_messages",
    "DROP TABLE IF EXISTS message_details",
];
