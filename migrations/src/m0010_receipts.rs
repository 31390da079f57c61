//! Delivery receipts: what operators told, and until when a receipt is waited for.
//!
//! That time stands with the operator's id and not with the message: an index on `message_status` would cost every message an entry,
//! also where nobody waits for anything.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0010_receipts",
    older: Older::GoOn,
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

const MYSQL: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS receipts (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            operator VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            provider_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            recipient VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NULL,
            state VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            error_code VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
            part SMALLINT NULL,
            digest BINARY(32) NOT NULL,
            matched_row BIGINT NULL,
            received_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            UNIQUE KEY uq_receipts_digest (operator, digest),
            INDEX idx_receipts_provider_id (operator, provider_id),
            INDEX idx_receipts_matched (matched_row, received_at),
            INDEX idx_receipts_received (received_at)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Column(
        "message_status",
        "delivered_at",
        "ALTER TABLE message_status ADD COLUMN delivered_at DATETIME(6) NULL",
    ),
    Step::Column(
        "operator_messages",
        "receipt_due_at",
        "ALTER TABLE operator_messages ADD COLUMN receipt_due_at DATETIME(6) NULL,
            ADD INDEX idx_operator_messages_due (receipt_due_at)",
    ),
];

const MYSQL_DOWN: &[&str] = &[
    "ALTER TABLE operator_messages DROP INDEX idx_operator_messages_due, DROP COLUMN receipt_due_at",
    "ALTER TABLE message_status DROP COLUMN delivered_at",
    "DROP TABLE IF EXISTS receipts",
];

const SQLITE: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS receipts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            operator VARCHAR(50) NOT NULL,
            provider_id VARCHAR(64) NOT NULL,
            recipient VARCHAR(20) NULL,
            state VARCHAR(12) NOT NULL,
            error_code VARCHAR(16) NULL,
            part SMALLINT NULL,
            digest BLOB NOT NULL,
            matched_row BIGINT NULL,
            received_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            CONSTRAINT uq_receipts_digest UNIQUE (operator, digest)
        )",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_receipts_provider_id ON receipts (operator, provider_id)"),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_receipts_matched ON receipts (matched_row, received_at)"),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_receipts_received ON receipts (received_at)"),
    Step::Column("message_status", "delivered_at", "ALTER TABLE message_status ADD COLUMN delivered_at DATETIME NULL"),
    Step::Column(
        "operator_messages",
        "receipt_due_at",
        "ALTER TABLE operator_messages ADD COLUMN receipt_due_at DATETIME NULL",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_operator_messages_due ON operator_messages (receipt_due_at)"),
];

const SQLITE_DOWN: &[&str] = &[
    "DROP INDEX IF EXISTS idx_operator_messages_due",
    "ALTER TABLE operator_messages DROP COLUMN receipt_due_at",
    "ALTER TABLE message_status DROP COLUMN delivered_at",
    "DROP TABLE IF EXISTS receipts",
];
