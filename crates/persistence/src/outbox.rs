//! The outbox: claims under a lease, and what becomes of what was claimed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Invalid, MessageType, OutboxPayload, OutboxStatus, Turn, event};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{
        Expr, LockBehavior, LockType, Query, SimpleExpr,
        extension::mysql::{IndexHintScope, MySqlSelectStatementExt},
    },
};
use uuid::Uuid;

use crate::{
    Database, Error,
    dialect::Dialect,
    entity::{
        idempotency_key,
        outbox_event::{Column, Entity, Model},
    },
    idempotency,
    retry::{StepError, read, write},
    session::Session,
    shape::padded,
};

/// Rows that one round of housekeeping changes at most, so that it never holds many locks.
const HOUSEKEEPING_ROWS: u64 = 500;

/// The two lanes events are claimed from; a backlog in one never delays the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// `priority` above 0.
    Express,
    /// The rest.
    Normal,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Self; 2] = [Self::Express, Self::Normal];

    /// The lane of a message type.
    pub fn of(kind: MessageType) -> Self {
        match kind {
            MessageType::Express => Self::Express,
            MessageType::Normal => Self::Normal,
        }
    }

    /// The name used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Express => "express",
            Self::Normal => "normal",
        }
    }

    fn stored(self) -> i8 {
        match self {
            Self::Express => 1,
            Self::Normal => 0,
        }
    }
}

/// Proof of a claim: every change of a claimed row names it, so a claimer whose lease ran out changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimToken(String);

impl ClaimToken {
    /// A token nobody else has.
    pub fn unique() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An event under our lease.
#[derive(Debug, Clone)]
pub struct ClaimedEvent {
    /// The row.
    pub id: i64,
    /// The message the event is about (`aggregate_id`).
    pub message_id: String,
    /// What to publish, or why it cannot be read.
    pub payload: Result<OutboxPayload, Invalid>,
    /// Failed tries so far.
    pub attempts: u32,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// When the request was accepted.
    pub created_at: DateTime<Utc>,
}

impl Database {
    /// Claims the waiting events of a lane whose turn it is, at most `limit`, for the time of `lease`.
    pub async fn claim_events(
        &self,
        lane: Lane,
        limit: u64,
        lease: Duration,
        token: &ClaimToken,
    ) -> Result<Vec<ClaimedEvent>, Error> {
        let dialect = self.dialect();
        write!(self, "outbox_claim", "claiming outbox events", |tx| claim(tx, dialect, lane, limit, lease, token).await)
    }

    /// Records that the broker confirmed these events. Returns how many were still ours.
    pub async fn mark_processed(&self, ids: &[i64], token: &ClaimToken) -> Result<u64, Error> {
        let change = [(Column::Status, Expr::value(OutboxStatus::Processed.as_str()))];
        self.finish_claim("outbox_processed", "recording published events", ids, token, change).await
    }

    /// Gives claimed events back untouched, without using up a try. Returns how many were still ours.
    pub async fn release_events(&self, ids: &[i64], token: &ClaimToken) -> Result<u64, Error> {
        let change = [(Column::Status, Expr::value(OutboxStatus::Pending.as_str()))];
        self.finish_claim("outbox_release", "giving back outbox events", ids, token, change).await
    }

    /// Puts a claimed event off after a failed try: it waits for `delay` and remembers why.
    pub async fn retry_event_later(
        &self,
        id: i64,
        token: &ClaimToken,
        delay: Duration,
        error: &str,
    ) -> Result<u64, Error> {
        let change = [
            (Column::Status, Expr::value(OutboxStatus::Pending.as_str())),
            (Column::NextRunAt, self.dialect().after(delay)),
            (Column::LastError, Expr::value(shortened(error))),
            (Column::Attempts, Expr::col(Column::Attempts).add(1)),
        ];
        self.finish_claim("outbox_retry", "putting off an outbox event", &[id], token, change).await
    }

    async fn finish_claim<const N: usize>(
        &self,
        query: &'static str,
        doing: &'static str,
        ids: &[i64],
        token: &ClaimToken,
        change: [(Column, SimpleExpr); N],
    ) -> Result<u64, Error> {
        if ids.is_empty() {
            return Ok(0);
        }
        let dialect = self.dialect();
        write!(self, query, doing, |tx| {
            let mut update = Entity::update_many()
                .col_expr(Column::ClaimedBy, null_text())
                .col_expr(Column::ClaimedUntil, null_time())
                .col_expr(Column::UpdatedAt, dialect.now());
            for (column, value) in change.clone() {
                update = update.col_expr(column, value);
            }
            let updated = update
                .filter(Column::Id.is_in(padded(ids.iter().copied())))
                .filter(Column::Status.eq(OutboxStatus::Processing.as_str()))
                .filter(Column::ClaimedBy.eq(token.as_str()))
                .exec(tx)
                .await?;
            Ok(updated.rows_affected)
        })
    }

    /// Makes events claimable again whose claimer did not finish within its lease. Returns how many.
    pub async fn rescue_expired_claims(&self) -> Result<u64, Error> {
        let dialect = self.dialect();
        write!(self, "outbox_rescue", "rescuing expired claims", |tx| {
            let expired = Expr::col(Column::ClaimedUntil).lt(dialect.now()).or(Column::ClaimedUntil.is_null());
            let ids = lock_some(tx, OutboxStatus::Processing, "idx_outbox_lease", expired).await?;
            let change = [(Column::ClaimedBy, null_text()), (Column::ClaimedUntil, null_time())];
            make_pending(tx, dialect, ids, change).await
        })
    }

    /// Makes events claimable whose wait after a failed try is over. Returns how many.
    pub async fn promote_due_events(&self) -> Result<u64, Error> {
        let dialect = self.dialect();
        write!(self, "outbox_promote", "promoting due outbox events", |tx| {
            let due = Column::Lane.is_in([0, 1]).and(Expr::col(Column::NextRunAt).lte(dialect.now()));
            let ids = lock_some(tx, OutboxStatus::Pending, "idx_outbox_claim", due).await?;
            make_pending(tx, dialect, ids, []).await
        })
    }

    /// Deletes some events published more than `age` ago. Returns how many; call again while it is not 0.
    pub async fn purge_processed_events(&self, age: Duration) -> Result<u64, Error> {
        let dialect = self.dialect();
        write!(self, "outbox_purge", "deleting old outbox events", |tx| {
            // The event of an unfinished message is what brings it back: it stays, however old.
            let finished = Expr::cust(
                "NOT EXISTS (SELECT 1 FROM message_status m WHERE m.message_identifier = outbox_events.aggregate_id \
                 AND m.status IN ('pending', 'sending'))",
            );
            let old = Column::Lane
                .is_in([0, 1])
                .and(Column::NextRunAt.is_null())
                .and(Expr::col(Column::UpdatedAt).lt(dialect.before(age)))
                .and(finished);
            let ids = lock_some(tx, OutboxStatus::Processed, "idx_outbox_purge", old).await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let deleted = Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?;
            Ok(deleted.rows_affected)
        })
    }

    /// Deletes some idempotency keys older than 24 hours. Returns how many; call again while it is not 0.
    pub async fn purge_idempotency_keys(&self) -> Result<u64, Error> {
        use idempotency_key::{Column, Entity};
        let dialect = self.dialect();
        write!(self, "idempotency_purge", "deleting old idempotency keys", |tx| {
            let ids: Vec<i64> = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Expr::col(Column::CreatedAt).lt(dialect.before(idempotency::KEPT_FOR)))
                .order_by_asc(Column::CreatedAt)
                .limit(HOUSEKEEPING_ROWS)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .into_tuple()
                .all(tx)
                .await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let deleted = Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?;
            Ok(deleted.rows_affected)
        })
    }

    /// Counts events of a lane not yet published or claimed, those that wait for a retry too, up to `most`.
    pub async fn pending_events(&self, lane: Lane, most: u64) -> Result<u64, Error> {
        read!(self, "outbox_pending", "counting pending outbox events", |db| {
            let mut query = in_lane(lane, OutboxStatus::Pending);
            QuerySelect::query(&mut query).force_index("idx_outbox_claim", IndexHintScope::All);
            count(db, query, most).await
        })
    }

    /// Counts events of a lane published within the last `window`, up to `most`.
    pub async fn published_events(&self, lane: Lane, window: Duration, most: u64) -> Result<u64, Error> {
        let dialect = self.dialect();
        read!(self, "outbox_published", "counting published outbox events", |db| {
            let mut query = in_lane(lane, OutboxStatus::Processed)
                .filter(Column::NextRunAt.is_null())
                .filter(Expr::col(Column::UpdatedAt).gte(dialect.before(window)));
            QuerySelect::query(&mut query).force_index("idx_outbox_purge", IndexHintScope::All);
            count(db, query, most).await
        })
    }

    /// The turn that a lane is at: the lowest of those waiting; `None` when nothing waits. Rows without a turn are
    /// left out.
    pub async fn turn_of(&self, lane: Lane) -> Result<Option<Turn>, Error> {
        read!(self, "outbox_turn", "looking for the turn of a lane", |db| {
            let turn: Option<i64> = waiting_in(lane)
                .select_only()
                .column(Column::Turn)
                .filter(Column::Turn.gt(0))
                .order_by_asc(Column::Turn)
                .limit(1)
                .into_tuple()
                .one(db)
                .await?;
            Ok(turn.map(Turn::from_stored))
        })
    }

    /// How long the oldest claimable event of a lane has waited; zero when none does.
    pub async fn oldest_waiting(&self, lane: Lane) -> Result<Duration, Error> {
        let dialect = self.dialect();
        read!(self, "outbox_oldest", "looking for the oldest waiting event", |db| {
            // By the last change, which an index follows; for what waits that is its acceptance, or its last return.
            let mut query = in_lane(lane, OutboxStatus::Pending).filter(Column::NextRunAt.is_null());
            QuerySelect::query(&mut query).force_index("idx_outbox_purge", IndexHintScope::All);
            let waited: Option<i64> = query
                .select_only()
                .expr_as(dialect.millis_since(Expr::col(Column::CreatedAt)), "waited")
                .order_by_asc(Column::UpdatedAt)
                .limit(1)
                .into_tuple()
                .one(db)
                .await?;
            Ok(Duration::from_millis(waited.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0)))
        })
    }
}

fn in_lane(lane: Lane, status: OutboxStatus) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::Status.eq(status.as_str())).filter(Column::Lane.eq(lane.stored()))
}

/// Counts inside a limited subquery: the cost is bounded by `most`, whatever the table holds.
async fn count(db: &Session, rows: sea_orm::Select<Entity>, most: u64) -> Result<u64, StepError> {
    let rows = rows.select_only().column(Column::Id).limit(most).into_query();
    let count = Query::select().expr(Expr::cust("COUNT(*)")).from_subquery(rows, "counted").to_owned();
    let row = db.query_one(&count).await?;
    let counted: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(counted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

fn waiting_in(lane: Lane) -> sea_orm::Select<Entity> {
    let mut query = in_lane(lane, OutboxStatus::Pending).filter(Column::NextRunAt.is_null());
    // The optimiser has four indexes that begin with status; only this one needs no sort.
    QuerySelect::query(&mut query).force_index("idx_outbox_claim", IndexHintScope::All);
    query
}

async fn claim(
    tx: &Session,
    dialect: Dialect,
    lane: Lane,
    limit: u64,
    lease: Duration,
    token: &ClaimToken,
) -> Result<Vec<ClaimedEvent>, StepError> {
    let rows = waiting_in(lane)
        .order_by_asc(Column::Turn)
        .order_by_asc(Column::Id)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(OutboxStatus::Processing.as_str()))
        .col_expr(Column::ClaimedBy, Expr::value(token.as_str()))
        .col_expr(Column::ClaimedUntil, dialect.after(lease))
        .col_expr(Column::UpdatedAt, dialect.now())
        .filter(Column::Id.is_in(padded(rows.iter().map(|row| row.id))))
        .exec(tx)
        .await?;
    Ok(rows.into_iter().map(claimed).collect())
}

fn claimed(row: Model) -> ClaimedEvent {
    let payload = if row.event_type == event::EVENT_TYPE_SEND {
        OutboxPayload::from_json(row.payload)
    } else {
        Err(Invalid::new("event_type", format!("must be {}", event::EVENT_TYPE_SEND)))
    };
    ClaimedEvent {
        id: row.id,
        message_id: row.aggregate_id,
        payload,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        traceparent: row.traceparent,
        created_at: row.created_at.and_utc(),
    }
}

/// Locks a bounded number of rows for housekeeping, leaving out those that somebody else is at.
async fn lock_some(
    tx: &Session,
    status: OutboxStatus,
    index: &'static str,
    condition: SimpleExpr,
) -> Result<Vec<i64>, StepError> {
    let mut query = Entity::find().select_only().column(Column::Id).filter(Column::Status.eq(status.as_str()));
    QuerySelect::query(&mut query).force_index(index, IndexHintScope::All);
    let ids = query
        .filter(condition)
        .limit(HOUSEKEEPING_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(ids)
}

async fn make_pending<const N: usize>(
    tx: &Session,
    dialect: Dialect,
    ids: Vec<i64>,
    change: [(Column, SimpleExpr); N],
) -> Result<u64, StepError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let mut update = Entity::update_many()
        .col_expr(Column::Status, Expr::value(OutboxStatus::Pending.as_str()))
        .col_expr(Column::NextRunAt, null_time())
        .col_expr(Column::UpdatedAt, dialect.now());
    for (column, value) in change {
        update = update.col_expr(column, value);
    }
    Ok(update.filter(Column::Id.is_in(padded(ids))).exec(tx).await?.rows_affected)
}

pub(crate) fn null_text() -> SimpleExpr {
    Expr::value(None::<String>)
}

pub(crate) fn null_time() -> SimpleExpr {
    Expr::value(None::<chrono::NaiveDateTime>)
}

/// `last_error` is for people: its beginning will do.
pub(crate) fn shortened(error: &str) -> String {
    error.chars().take(500).collect()
}
