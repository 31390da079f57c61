//! Who may use the API: keys, of which only a digest is kept, and the senders that each customer may send from.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0008_tenants",
    older: Older::GoOn,
    mysql: MYSQL,
    mysql_down: DROP_TABLES,
    sqlite: SQLITE,
    sqlite_down: DROP_TABLES,
};

const DROP_TABLES: &[&str] = &["DROP TABLE IF EXISTS customer_senders", "DROP TABLE IF EXISTS api_keys"];

const MYSQL: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS api_keys (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            public_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            customer_id BIGINT NULL,
            name VARCHAR(100) NOT NULL,
            scopes VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            hash BINARY(32) NOT NULL,
            hint CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            requests_per_second INT NULL,
            created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            expires_at DATETIME(6) NULL,
            revoked_at DATETIME(6) NULL,
            last_used_at DATETIME(6) NULL,
            UNIQUE KEY uq_api_keys_public_id (public_id),
            UNIQUE KEY uq_api_keys_hash (hash),
            INDEX idx_api_keys_customer (customer_id)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS customer_senders (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            customer_id BIGINT NOT NULL,
            sender VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            UNIQUE KEY uq_customer_senders (customer_id, sender)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
];

const SQLITE: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS api_keys (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            public_id CHAR(36) NOT NULL UNIQUE,
            customer_id BIGINT NULL,
            name VARCHAR(100) NOT NULL,
            scopes VARCHAR(100) NOT NULL,
            hash BLOB NOT NULL UNIQUE,
            hint CHAR(4) NOT NULL,
            requests_per_second INT NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            expires_at DATETIME NULL,
            revoked_at DATETIME NULL,
            last_used_at DATETIME NULL
        )",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_api_keys_customer ON api_keys (customer_id)"),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS customer_senders (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            customer_id BIGINT NOT NULL,
            sender VARCHAR(16) NOT NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            CONSTRAINT uq_customer_senders UNIQUE (customer_id, sender)
        )",
    ),
];
