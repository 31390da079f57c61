//! Fair order within a lane: events are claimed by turn, and what is old or was just published is found by lane.

use crate::change::{Change, Older, Step};

pub(crate) const CHANGE: Change = Change {
    name: "m0004_turns",
    older: Older::Unasked,
    mysql: MYSQL,
    mysql_down: MYSQL_DOWN,
    sqlite: SQLITE,
    sqlite_down: SQLITE_DOWN,
};

// The indexes keep their names: processes of the last release name them in their queries.
const MYSQL: &[Step] = &[Step::Column(
    "outbox_events",
    "turn",
    "ALTER TABLE outbox_events
        ADD COLUMN turn BIGINT NOT NULL DEFAULT 0,
        DROP INDEX idx_outbox_claim,
        DROP INDEX idx_outbox_purge,
        ADD INDEX idx_outbox_claim (status, lane, next_run_at, turn, id),
        ADD INDEX idx_outbox_purge (status, lane, next_run_at, updated_at)",
)];

const MYSQL_DOWN: &[&str] = &["ALTER TABLE outbox_events
        DROP INDEX idx_outbox_claim,
        DROP INDEX idx_outbox_purge,
        DROP COLUMN turn,
        ADD INDEX idx_outbox_claim (status, lane, next_run_at, id),
        ADD INDEX idx_outbox_purge (status, updated_at)"];

const SQLITE: &[Step] = &[
    Step::Column("outbox_events", "turn", "ALTER TABLE outbox_events ADD COLUMN turn BIGINT NOT NULL DEFAULT 0"),
    Step::Repeatable("DROP INDEX IF EXISTS idx_outbox_claim"),
    Step::Repeatable("DROP INDEX IF EXISTS idx_outbox_purge"),
    Step::Repeatable("CREATE INDEX idx_outbox_claim ON outbox_events (status, lane, next_run_at, turn, id)"),
    Step::Repeatable("CREATE INDEX idx_outbox_purge ON outbox_events (status, lane, next_run_at, updated_at)"),
];

const SQLITE_DOWN: &[&str] = &[
    "DROP INDEX IF EXISTS idx_outbox_claim",
    "DROP INDEX IF EXISTS idx_outbox_purge",
    "ALTER TABLE outbox_events DROP COLUMN turn",
    "CREATE INDEX idx_outbox_claim ON outbox_events (status, lane, next_run_at, id)",
    "CREATE INDEX idx_outbox_purge ON outbox_events (status, updated_at)",
];
