//! What the reference lacks: microsecond times, leases on claims, the price on each message, refunds tied to
//! their charge, a lane that an index can follow, checks on money.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0002_leases_and_refunds",
    older: Older::Unasked,
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

const MYSQL: &[Step] = &[
    Step::Repeatable(
        "ALTER TABLE user_balances
            MODIFY last_updated DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
    ),
    Step::Check(
        "chk_user_balances_balance",
        "ALTER TABLE user_balances ADD CONSTRAINT chk_user_balances_balance CHECK (balance >= 0)",
    ),
    // One refund for each recipient of a charge, whoever asks for it and however often.
    Step::Column(
        "user_transactions",
        "refund_of",
        "ALTER TABLE user_transactions
            MODIFY created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            ADD COLUMN refund_of VARCHAR(50) NULL,
            ADD COLUMN recipient VARCHAR(20) NULL,
            ADD UNIQUE KEY uq_user_transactions_refund (refund_of, recipient),
            ADD CONSTRAINT chk_user_transactions_refund CHECK (refund_of IS NULL OR amount > 0)",
    ),
    // History is listed by (user_id, created_at), or by status alone.
    Step::Column(
        "message_status",
        "claimed_until",
        "ALTER TABLE message_status
            MODIFY created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            MODIFY updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
            ADD COLUMN price BIGINT NULL,
            ADD COLUMN transaction_id VARCHAR(50) NULL,
            ADD COLUMN claimed_by VARCHAR(64) NULL,
            ADD COLUMN claimed_until DATETIME(6) NULL,
            ADD INDEX idx_message_status_user_created (user_id, created_at),
            ADD INDEX idx_message_status_status (status),
            ADD CONSTRAINT chk_message_status_price CHECK (price >= 0)",
    ),
    // The claim reads (status, lane, next_run_at IS NULL) in the order of id: no filesort at any backlog.
    Step::Column(
        "outbox_events",
        "claimed_until",
        "ALTER TABLE outbox_events
            MODIFY next_run_at DATETIME(6) NULL,
            MODIFY created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            MODIFY updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
            ADD COLUMN lane TINYINT GENERATED ALWAYS AS (CASE WHEN priority > 0 THEN 1 ELSE 0 END) STORED,
            ADD COLUMN user_id BIGINT NULL,
            ADD COLUMN traceparent VARCHAR(64) NULL,
            ADD COLUMN claimed_by VARCHAR(64) NULL,
            ADD COLUMN claimed_until DATETIME(6) NULL,
            ADD INDEX idx_outbox_claim (status, lane, next_run_at, id),
            ADD INDEX idx_outbox_lease (status, claimed_until),
            ADD INDEX idx_outbox_purge (status, updated_at)",
    ),
    // Messages that the reference left unfinished get their charge and price, so that they can be refunded.
    Step::Repeatable(
        "UPDATE message_status m
            JOIN outbox_events o ON o.aggregate_id = m.message_identifier AND o.event_type = 'message.send'
            JOIN user_transactions t
                ON t.transaction_id = JSON_UNQUOTE(JSON_EXTRACT(o.payload, '$.transaction_id'))
            JOIN (SELECT message_identifier, COUNT(*) AS recipients FROM message_status
                    GROUP BY message_identifier) c
                ON c.message_identifier = m.message_identifier
            SET m.transaction_id = t.transaction_id, m.price = ABS(t.amount) DIV c.recipients
            WHERE m.status IN ('pending', 'sending') AND m.price IS NULL",
    ),
];

const MYSQL_DOWN: &[&str] = &[
    "ALTER TABLE outbox_events
        DROP INDEX idx_outbox_claim, DROP INDEX idx_outbox_lease, DROP INDEX idx_outbox_purge,
        DROP COLUMN lane, DROP COLUMN user_id, DROP COLUMN traceparent,
        DROP COLUMN claimed_by, DROP COLUMN claimed_until,
        MODIFY next_run_at DATETIME NULL,
        MODIFY created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
        MODIFY updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
    "ALTER TABLE message_status DROP CONSTRAINT chk_message_status_price",
    "ALTER TABLE message_status
        DROP INDEX idx_message_status_user_created, DROP INDEX idx_message_status_status,
        DROP COLUMN price, DROP COLUMN transaction_id, DROP COLUMN claimed_by, DROP COLUMN claimed_until,
        MODIFY created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
        MODIFY updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
    "ALTER TABLE user_transactions DROP CONSTRAINT chk_user_transactions_refund",
    "ALTER TABLE user_transactions
        DROP INDEX uq_user_transactions_refund, DROP COLUMN refund_of, DROP COLUMN recipient,
        MODIFY created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP",
    "ALTER TABLE user_balances DROP CONSTRAINT chk_user_balances_balance",
    "ALTER TABLE user_balances
        MODIFY last_updated DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
];

const SQLITE: &[Step] = &[
    Step::Column("user_transactions", "refund_of", "ALTER TABLE user_transactions ADD COLUMN refund_of VARCHAR(50)"),
    Step::Column(
        "user_transactions",
        "recipient",
        "ALTER TABLE user_transactions ADD COLUMN recipient VARCHAR(20)
            CONSTRAINT chk_user_transactions_refund CHECK (refund_of IS NULL OR amount > 0)",
    ),
    Step::Repeatable(
        "CREATE UNIQUE INDEX IF NOT EXISTS uq_user_transactions_refund ON user_transactions (refund_of, recipient)",
    ),
    Step::Column("message_status", "price", "ALTER TABLE message_status ADD COLUMN price BIGINT CHECK (price >= 0)"),
    Step::Column(
        "message_status",
        "transaction_id",
        "ALTER TABLE message_status ADD COLUMN transaction_id VARCHAR(50)",
    ),
    Step::Column("message_status", "claimed_by", "ALTER TABLE message_status ADD COLUMN claimed_by VARCHAR(64)"),
    Step::Column("message_status", "claimed_until", "ALTER TABLE message_status ADD COLUMN claimed_until DATETIME"),
    Step::Repeatable(
        "CREATE INDEX IF NOT EXISTS idx_message_status_user_created ON message_status (user_id, created_at)",
    ),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_message_status_status ON message_status (status)"),
    Step::Column(
        "outbox_events",
        "lane",
        "ALTER TABLE outbox_events ADD COLUMN lane TINYINT
            GENERATED ALWAYS AS (CASE WHEN priority > 0 THEN 1 ELSE 0 END) VIRTUAL",
    ),
    Step::Column("outbox_events", "user_id", "ALTER TABLE outbox_events ADD COLUMN user_id BIGINT"),
    Step::Column("outbox_events", "traceparent", "ALTER TABLE outbox_events ADD COLUMN traceparent VARCHAR(64)"),
    Step::Column("outbox_events", "claimed_by", "ALTER TABLE outbox_events ADD COLUMN claimed_by VARCHAR(64)"),
    Step::Column("outbox_events", "claimed_until", "ALTER TABLE outbox_events ADD COLUMN claimed_until DATETIME"),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_outbox_claim ON outbox_events (status, lane, next_run_at, id)"),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_outbox_lease ON outbox_events (status, claimed_until)"),
    Step::Repeatable("CREATE INDEX IF NOT EXISTS idx_outbox_purge ON outbox_events (status, updated_at)"),
];

const SQLITE_DOWN: &[&str] = &[
    "DROP INDEX IF EXISTS idx_outbox_claim",
    "DROP INDEX IF EXISTS idx_outbox_lease",
    "DROP INDEX IF EXISTS idx_outbox_purge",
    "ALTER TABLE outbox_events DROP COLUMN lane",
    "ALTER TABLE outbox_events DROP COLUMN user_id",
    "ALTER TABLE outbox_events DROP COLUMN traceparent",
    "ALTER TABLE outbox_events DROP COLUMN claimed_by",
    "ALTER TABLE outbox_events DROP COLUMN claimed_until",
    "DROP INDEX IF EXISTS idx_message_status_user_created",
    "DROP INDEX IF EXISTS idx_message_status_status",
    "ALTER TABLE message_status DROP COLUMN price",
    "ALTER TABLE message_status DROP COLUMN transaction_id",
    "ALTER TABLE message_status DROP COLUMN claimed_by",
    "ALTER TABLE message_status DROP COLUMN claimed_until",
    "DROP INDEX IF EXISTS uq_user_transactions_refund",
    "ALTER TABLE user_transactions DROP COLUMN recipient",
    "ALTER TABLE user_transactions DROP COLUMN refund_of",
];
