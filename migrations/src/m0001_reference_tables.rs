//! The reference's four tables, column for column. On a database of the reference this changes nothing.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0001_reference_tables",
    older: Older::Unasked,
    mysql: MYSQL,
    mysql_down: DROP_TABLES,
    sqlite: SQLITE,
    sqlite_down: DROP_TABLES,
};

const DROP_TABLES: &[&str] = &[
    "DROP TABLE IF EXISTS outbox_events",
    "DROP TABLE IF EXISTS message_status",
    "DROP TABLE IF EXISTS user_transactions",
    "DROP TABLE IF EXISTS user_balances",
];

const MYSQL: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS user_balances (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            user_id BIGINT NOT NULL UNIQUE,
            balance BIGINT NOT NULL DEFAULT 0,
            last_updated DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS user_transactions (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            user_id BIGINT NOT NULL,
            amount BIGINT NOT NULL,
            transaction_type VARCHAR(50) NOT NULL,
            description TEXT,
            transaction_id VARCHAR(50) NOT NULL UNIQUE,
            created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            INDEX idx_user_transactions_user_id (user_id, created_at)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS message_status (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            user_id BIGINT NOT NULL,
            status VARCHAR(50) NOT NULL,
            type VARCHAR(50) NOT NULL,
            recipient VARCHAR(20) NOT NULL,
            provider VARCHAR(50) NOT NULL DEFAULT '',
            message_identifier VARCHAR(50) NOT NULL,
            created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
            UNIQUE KEY uq_message_status_identifier_recipient (message_identifier, recipient),
            INDEX idx_message_status_user_identifier (user_id, message_identifier),
            INDEX idx_message_status_user_status_created (user_id, status, created_at)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS outbox_events (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            aggregate_type VARCHAR(50) NOT NULL,
            aggregate_id VARCHAR(50) NOT NULL,
            event_type VARCHAR(100) NOT NULL,
            payload JSON NOT NULL,
            priority INT NOT NULL DEFAULT 0,
            status VARCHAR(20) NOT NULL DEFAULT 'pending',
            attempts INT NOT NULL DEFAULT 0,
            next_run_at DATETIME NULL,
            last_error TEXT NULL,
            created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
            UNIQUE KEY uq_outbox_aggregate_event (aggregate_id, event_type),
            INDEX idx_outbox_pending (status, priority, next_run_at, created_at)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
];

// SQLite's own clock in the form the other columns are compared in: UTC text with milliseconds.
const SQLITE: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS user_balances (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id BIGINT NOT NULL UNIQUE,
            balance BIGINT NOT NULL DEFAULT 0 CONSTRAINT chk_user_balances_balance CHECK (balance >= 0),
            last_updated DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
        )",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS user_transactions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id BIGINT NOT NULL,
            amount BIGINT NOT NULL,
            transaction_type VARCHAR(50) NOT NULL,
            description TEXT,
            transaction_id VARCHAR(50) NOT NULL UNIQUE,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
        )",
    ),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_user_transactions_user_id ON user_transactions (user_id, created_at)",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS message_status (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id BIGINT NOT NULL,
            status VARCHAR(50) NOT NULL,
            type VARCHAR(50) NOT NULL,
            recipient VARCHAR(20) NOT NULL,
            provider VARCHAR(50) NOT NULL DEFAULT '',
            message_identifier VARCHAR(50) NOT NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            updated_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            CONSTRAINT uq_message_status_identifier_recipient UNIQUE (message_identifier, recipient)
        )",
    ),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_message_status_user_identifier
            ON message_status (user_id, message_identifier)",
    ),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_message_status_user_status_created
            ON message_status (user_id, status, created_at)",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS outbox_events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            aggregate_type VARCHAR(50) NOT NULL,
            aggregate_id VARCHAR(50) NOT NULL,
            event_type VARCHAR(100) NOT NULL,
            payload JSON NOT NULL,
            priority INT NOT NULL DEFAULT 0,
            status VARCHAR(20) NOT NULL DEFAULT 'pending',
            attempts INT NOT NULL DEFAULT 0,
            next_run_at DATETIME NULL,
            last_error TEXT NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            updated_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            CONSTRAINT uq_outbox_aggregate_event UNIQUE (aggregate_id, event_type)
        )",
    ),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_outbox_pending
            ON outbox_events (status, priority, next_run_at, created_at)",
    ),
];
