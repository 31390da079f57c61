//! The clients' idempotency keys, kept for 24 hours beside the charge they belong to.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0003_idempotency_keys",
    older: Older::Unasked,
    mysql: MYSQL,
    mysql_down: DROP_TABLE,
    sqlite: SQLITE,
    sqlite_down: DROP_TABLE,
};

const DROP_TABLE: &[&str] = &["DROP TABLE IF EXISTS idempotency_keys"];

// Keys differ by case, so their column compares bytes.
const MYSQL: &[Step] = &[Step::Repeatable(
    "CREATE TABLE IF NOT EXISTS idempotency_keys (
        id BIGINT PRIMARY KEY AUTO_INCREMENT,
        customer_id BIGINT NOT NULL,
        route VARCHAR(32) NOT NULL,
        idempotency_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        response TEXT NOT NULL,
        created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        UNIQUE KEY uq_idempotency_keys (customer_id, route, idempotency_key),
        INDEX idx_idempotency_keys_created (created_at)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
)];

const SQLITE: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS idempotency_keys (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            customer_id BIGINT NOT NULL,
            route VARCHAR(32) NOT NULL,
            idempotency_key VARCHAR(255) NOT NULL,
            fingerprint CHAR(64) NOT NULL,
            response TEXT NOT NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            CONSTRAINT uq_idempotency_keys UNIQUE (customer_id, route, idempotency_key)
        )",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_idempotency_keys_created ON idempotency_keys (created_at)"),
];
