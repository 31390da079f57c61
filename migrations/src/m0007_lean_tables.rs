//! A change of a message's state moves one index entry and not six.
//!
//! No index but the one that events are claimed by holds a state. It also serves what the others were for, as published events
//! and those given up carry in `next_run_at` when that was: counts of the last seconds, the search for stuck messages and the purge
//! read it in that order. How far the search has come stands in `sweep_progress`.
//!
//! What only ever holds ASCII is stored as such and compared by its bytes, which costs a third of the work of a Unicode collation.
//! States, types and kinds are lower-cased before that: the reference's `PENDING` was only found by its collation.
//!
//! It copies the tables, so nothing else may use them meanwhile.

use crate::change::{Change, Lean, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0007_lean_tables",
    older: Older::From(7),
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

const CREATE_PROGRESS: &str = "CREATE TABLE IF NOT EXISTS sweep_progress (
        task VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        done_until DATETIME(6) NOT NULL
    ) ENGINE=InnoDB";

const MYSQL: &[Step] = &[
    Step::Repeatable(
        "UPDATE message_status SET status = LOWER(status), type = LOWER(type), updated_at = updated_at
            WHERE CAST(status AS BINARY) <> LOWER(status) OR CAST(type AS BINARY) <> LOWER(type)",
    ),
    Step::Repeatable(
        "UPDATE outbox_events
            SET status = LOWER(status), aggregate_type = LOWER(aggregate_type), event_type = LOWER(event_type),
                updated_at = updated_at
            WHERE CAST(status AS BINARY) <> LOWER(status) OR CAST(aggregate_type AS BINARY) <> LOWER(aggregate_type)
                OR CAST(event_type AS BINARY) <> LOWER(event_type)",
    ),
    Step::Repeatable(
        "UPDATE user_transactions SET transaction_type = LOWER(transaction_type)
            WHERE CAST(transaction_type AS BINARY) <> LOWER(transaction_type)",
    ),
    Step::Lean(Lean {
        table: "message_status",
        columns: &[
            ("status", "VARCHAR(50)", "NOT NULL"),
            ("type", "VARCHAR(50)", "NOT NULL"),
            ("recipient", "VARCHAR(20)", "NOT NULL"),
            ("provider", "VARCHAR(50)", "NOT NULL DEFAULT ''"),
            ("message_identifier", "VARCHAR(50)", "NOT NULL"),
            ("transaction_id", "VARCHAR(50)", "NULL"),
            ("claimed_by", "VARCHAR(64)", "NULL"),
        ],
        without_indexes: &[
            "idx_message_status_status",
            "idx_message_status_user_status_created",
            "idx_message_status_user_identifier",
        ],
    }),
    Step::Lean(Lean {
        table: "outbox_events",
        columns: &[
            ("aggregate_type", "VARCHAR(50)", "NOT NULL"),
            ("aggregate_id", "VARCHAR(50)", "NOT NULL"),
            ("event_type", "VARCHAR(100)", "NOT NULL"),
            ("status", "VARCHAR(20)", "NOT NULL DEFAULT 'pending'"),
            ("traceparent", "VARCHAR(64)", "NULL"),
            ("claimed_by", "VARCHAR(64)", "NULL"),
        ],
        without_indexes: &["idx_outbox_pending", "idx_outbox_lease", "idx_outbox_purge"],
    }),
    Step::Lean(Lean {
        table: "user_transactions",
        columns: &[
            ("transaction_type", "VARCHAR(50)", "NOT NULL"),
            ("transaction_id", "VARCHAR(50)", "NOT NULL"),
            ("refund_of", "VARCHAR(50)", "NULL"),
            ("recipient", "VARCHAR(20)", "NULL"),
        ],
        without_indexes: &[],
    }),
    Step::Lean(Lean {
        table: "idempotency_keys",
        columns: &[("route", "VARCHAR(32)", "NOT NULL")],
        without_indexes: &[],
    }),
    Step::Batches(
        "UPDATE outbox_events SET next_run_at = updated_at, updated_at = updated_at
            WHERE status IN ('processed', 'failed') AND next_run_at IS NULL LIMIT 10000",
    ),
    Step::Repeatable(CREATE_PROGRESS),
    Step::Repeatable(
        "INSERT IGNORE INTO sweep_progress (task, done_until) VALUES
            ('stuck_express', '2000-01-01'), ('stuck_normal', '2000-01-01'),
            ('stuck_express_failed', '2000-01-01'), ('stuck_normal_failed', '2000-01-01')",
    ),
];

const MYSQL_DOWN: &[&str] = &[
    "DROP TABLE IF EXISTS sweep_progress",
    "UPDATE outbox_events SET next_run_at = NULL, updated_at = updated_at WHERE status IN ('processed', 'failed')",
    "ALTER TABLE idempotency_keys MODIFY route VARCHAR(32) CHARACTER SET utf8mb4 NOT NULL",
    "ALTER TABLE user_transactions
        MODIFY transaction_type VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY transaction_id VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY refund_of VARCHAR(50) CHARACTER SET utf8mb4 NULL,
        MODIFY recipient VARCHAR(20) CHARACTER SET utf8mb4 NULL",
    "ALTER TABLE outbox_events
        MODIFY aggregate_type VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY aggregate_id VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY event_type VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY status VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL DEFAULT 'pending',
        MODIFY traceparent VARCHAR(64) CHARACTER SET utf8mb4 NULL,
        MODIFY claimed_by VARCHAR(64) CHARACTER SET utf8mb4 NULL,
        ADD INDEX idx_outbox_pending (status, priority, next_run_at, created_at),
        ADD INDEX idx_outbox_lease (status, claimed_until),
        ADD INDEX idx_outbox_purge (status, lane, next_run_at, updated_at)",
    "ALTER TABLE message_status
        MODIFY status VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY type VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY recipient VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY provider VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
        MODIFY message_identifier VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
        MODIFY transaction_id VARCHAR(50) CHARACTER SET utf8mb4 NULL,
        MODIFY claimed_by VARCHAR(64) CHARACTER SET utf8mb4 NULL,
        ADD INDEX idx_message_status_user_identifier (user_id, message_identifier),
        ADD INDEX idx_message_status_user_status_created (user_id, status, created_at),
        ADD INDEX idx_message_status_status (status)",
];

// SQLite compares by bytes already. Its index of unfinished messages costs the services' databases nothing.
const SQLITE: &[Step] = &[
    Step::Repeatable(
        "UPDATE message_status SET status = LOWER(status), type = LOWER(type)
            WHERE status <> LOWER(status) OR type <> LOWER(type)",
    ),
    Step::Repeatable(
        "UPDATE outbox_events
            SET status = LOWER(status), aggregate_type = LOWER(aggregate_type), event_type = LOWER(event_type)
            WHERE status <> LOWER(status) OR aggregate_type <> LOWER(aggregate_type) OR event_type <> LOWER(event_type)",
    ),
    Step::Repeatable(
        "UPDATE user_transactions SET transaction_type = LOWER(transaction_type)
            WHERE transaction_type <> LOWER(transaction_type)",
    ),
    Step::Repeatable("DROP INDEX IF EXISTS idx_message_status_status"),
    // What is to be sent again when an embedded broker's memory is gone; a row leaves it at its end.
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_message_status_unfinished ON message_status (message_identifier)
            WHERE status IN ('pending', 'sending')",
    ),
    Step::Repeatable("DROP INDEX IF EXISTS idx_message_status_user_status_created"),
    Step::Repeatable("DROP INDEX IF EXISTS idx_message_status_user_identifier"),
    Step::Repeatable("DROP INDEX IF EXISTS idx_outbox_pending"),
    Step::Repeatable("DROP INDEX IF EXISTS idx_outbox_lease"),
    Step::Repeatable("DROP INDEX IF EXISTS idx_outbox_purge"),
    Step::Repeatable(
        "UPDATE outbox_events SET next_run_at = updated_at WHERE status IN ('processed', 'failed') AND next_run_at IS NULL",
    ),
    Step::Repeatable(
        "CREATE TABLE IF NOT EXISTS sweep_progress (
            task VARCHAR(32) NOT NULL PRIMARY KEY,
            done_until DATETIME NOT NULL
        )",
    ),
    Step::Repeatable(
        "INSERT OR IGNORE INTO sweep_progress (task, done_until) VALUES
            ('stuck_express', '2000-01-01 00:00:00.000'), ('stuck_normal', '2000-01-01 00:00:00.000'),
            ('stuck_express_failed', '2000-01-01 00:00:00.000'), ('stuck_normal_failed', '2000-01-01 00:00:00.000')",
    ),
];

const SQLITE_DOWN: &[&str] = &[
    "DROP TABLE IF EXISTS sweep_progress",
    "DROP INDEX IF EXISTS idx_message_status_unfinished",
    "UPDATE outbox_events SET next_run_at = NULL WHERE status IN ('processed', 'failed')",
    "CREATE INDEX idx_outbox_pending ON outbox_events (status, priority, next_run_at, created_at)",
    "CREATE INDEX idx_outbox_lease ON outbox_events (status, claimed_until)",
    "CREATE INDEX idx_outbox_purge ON outbox_events (status, lane, next_run_at, updated_at)",
    "CREATE INDEX idx_message_status_user_identifier ON message_status (user_id, message_identifier)",
    "CREATE INDEX idx_message_status_user_status_created ON message_status (user_id, status, created_at)",
    "CREATE INDEX idx_message_status_status ON message_status (status)",
];
