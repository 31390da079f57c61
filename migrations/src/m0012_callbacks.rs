//! Callbacks to customers: where they go, what is to be sent, and what became of each attempt.
//!
//! An index begins with the endpoint, so that one with a million waiting events stands in nobody's way. `next_run_at` is also when a
//! lease ends and when an event ended, so that the index by state has those in that order too.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0012_callbacks",
    older: Older::GoOn,
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

const MYSQL: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS callback_endpoints (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            public_id VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            customer_id BIGINT NOT NULL,
            url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            description VARCHAR(200) NULL,
            events VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            secret_version INT NOT NULL DEFAULT 1,
            previous_until DATETIME(6) NULL,
            enabled BOOLEAN NOT NULL DEFAULT TRUE,
            disabled_reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
            failing_since DATETIME(6) NULL,
            paused_until DATETIME(6) NULL,
            failures INT NOT NULL DEFAULT 0,
            per_second INT NULL,
            created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            UNIQUE KEY uq_callback_endpoints_public_id (public_id),
            INDEX idx_callback_endpoints_customer (customer_id, id)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS callback_events (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            public_id VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            customer_id BIGINT NOT NULL,
            endpoint_id BIGINT NOT NULL,
            url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NULL,
            type VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            payload TEXT NOT NULL,
            status VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'pending',
            attempts INT NOT NULL DEFAULT 0,
            requested VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NULL,
            next_run_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            claimed_by VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
            claimed_until DATETIME(6) NULL,
            created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            UNIQUE KEY uq_callback_events_public_id (public_id),
            INDEX idx_callback_events_due (status, next_run_at, id),
            INDEX idx_callback_events_endpoint (endpoint_id, status, next_run_at, id),
            INDEX idx_callback_events_customer (customer_id, id)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS callback_attempts (
            id BIGINT PRIMARY KEY AUTO_INCREMENT,
            event_id BIGINT NOT NULL,
            at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            duration_ms INT NOT NULL,
            status_code SMALLINT NULL,
            error VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
            response VARBINARY(1024) NOT NULL,
            `trigger` VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            INDEX idx_callback_attempts_event (event_id, id),
            INDEX idx_callback_attempts_at (at)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ),
    Step::Column("message_status", "sequence", "ALTER TABLE message_status ADD COLUMN sequence INT NULL"),
    Step::Column(
        "message_details",
        "callback_url",
        "ALTER TABLE message_details
            ADD COLUMN callback_url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NULL",
    ),
];

const MYSQL_DOWN: &[&str] = &[
    "ALTER TABLE message_details DROP COLUMN callback_url",
    "ALTER TABLE message_status DROP COLUMN sequence",
    "DROP TABLE IF EXISTS callback_attempts",
    "DROP TABLE IF EXISTS callback_events",
    "DROP TABLE IF EXISTS callback_endpoints",
];

const SQLITE: &[Step] = &[
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS callback_endpoints (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            public_id VARCHAR(50) NOT NULL,
            customer_id BIGINT NOT NULL,
            url VARCHAR(2048) NOT NULL,
            description VARCHAR(200) NULL,
            events VARCHAR(200) NOT NULL,
            secret_version INT NOT NULL DEFAULT 1,
            previous_until DATETIME NULL,
            enabled BOOLEAN NOT NULL DEFAULT TRUE,
            disabled_reason VARCHAR(32) NULL,
            failing_since DATETIME NULL,
            paused_until DATETIME NULL,
            failures INT NOT NULL DEFAULT 0,
            per_second INT NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            CONSTRAINT uq_callback_endpoints_public_id UNIQUE (public_id)
        )",
    ),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_callback_endpoints_customer ON callback_endpoints (customer_id, id)",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS callback_events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            public_id VARCHAR(50) NOT NULL,
            customer_id BIGINT NOT NULL,
            endpoint_id BIGINT NOT NULL,
            url VARCHAR(2048) NULL,
            type VARCHAR(32) NOT NULL,
            payload TEXT NOT NULL,
            status VARCHAR(12) NOT NULL DEFAULT 'pending',
            attempts INT NOT NULL DEFAULT 0,
            requested VARCHAR(12) NULL,
            next_run_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            claimed_by VARCHAR(36) NULL,
            claimed_until DATETIME NULL,
            created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            CONSTRAINT uq_callback_events_public_id UNIQUE (public_id)
        )",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_callback_events_due ON callback_events (status, next_run_at, id)"),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_callback_events_endpoint
            ON callback_events (endpoint_id, status, next_run_at, id)",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_callback_events_customer ON callback_events (customer_id, id)"),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS callback_attempts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            event_id BIGINT NOT NULL,
            at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
            duration_ms INT NOT NULL,
            status_code SMALLINT NULL,
            error VARCHAR(32) NULL,
            response BLOB NOT NULL,
            `trigger` VARCHAR(12) NOT NULL
        )",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_callback_attempts_event ON callback_attempts (event_id, id)"),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_callback_attempts_at ON callback_attempts (at)"),
    Step::Column("message_status", "sequence", "ALTER TABLE message_status ADD COLUMN sequence INT NULL"),
    Step::Column(
        "message_details",
        "callback_url",
        "ALTER TABLE message_details ADD COLUMN callback_url VARCHAR(2048) NULL",
    ),
];

const SQLITE_DOWN: &[&str] = &[
    "ALTER TABLE message_details DROP COLUMN callback_url",
    "ALTER TABLE message_status DROP COLUMN sequence",
    "DROP TABLE IF EXISTS callback_attempts",
    "DROP TABLE IF EXISTS callback_events",
    "DROP TABLE IF EXISTS callback_endpoints",
];
