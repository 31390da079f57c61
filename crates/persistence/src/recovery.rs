//! Messages that the broker lost: after a crash of an embedded one, whose memory is gone, or whatever else became of
//! a queue. The database knows what is unfinished, so it is published again.

use std::time::Duration;

use domain::{MessageStatus, OutboxStatus, event};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{
        Expr,
        extension::mysql::{IndexHintScope, MySqlSelectStatementExt},
    },
};

use crate::{
    Database, Error,
    dialect::Dialect,
    entity::{
        message_status::{Column as Message, Entity as Messages},
        outbox_event::{Column as Outbox, Entity as Events},
    },
    outbox::{null_text, null_time},
    retry::{StepError, write},
};

/// Unfinished messages that one search looks at: the oldest, so that it costs the same at any backlog.
const SEARCH_ROWS: u64 = 500;

impl Database {
    /// Publishes messages again that were published more than `age` ago and are still unfinished: dead-lettered
    /// after too many crashes, or lost with a queue. A copy that is still queued somewhere does no harm, for the
    /// rows decide who sends. Returns how many events will be published again.
    pub async fn republish_stuck(&self, age: Duration) -> Result<u64, Error> {
        let dialect = self.dialect();
        write!(self, "outbox_republish", "looking for stuck messages", |tx| {
            let mut stuck = Vec::new();
            for status in [MessageStatus::Pending, MessageStatus::Sending] {
                stuck.extend(oldest_unfinished(tx, dialect, status, age).await?);
            }
            if stuck.is_empty() {
                return Ok(0);
            }
            let republished = Events::update_many()
                .col_expr(Outbox::Status, Expr::value(OutboxStatus::Pending.as_str()))
                .col_expr(Outbox::UpdatedAt, dialect.now())
                .filter(Outbox::AggregateId.is_in(stuck))
                .filter(ColumnTrait::eq(&Outbox::EventType, event::EVENT_TYPE_SEND))
                .filter(ColumnTrait::eq(&Outbox::Status, OutboxStatus::Processed.as_str()))
                .filter(Expr::col(Outbox::UpdatedAt).lt(dialect.before(age)))
                .exec(tx)
                .await?;
            Ok(republished.rows_affected)
        })
    }

    /// Makes everything unfinished start again: claims and leases of the last run are void, and every message
    /// without an outcome is published anew. Returns how many events will be published again.
    ///
    /// Only for a database that no other process uses, before anything else runs: it ignores leases.
    pub async fn recover_embedded(&self) -> Result<u64, Error> {
        let dialect = self.dialect();
        write!(self, "recover_embedded", "recovering after the last run", |tx| {
            let unfinished = [MessageStatus::Pending.as_str(), MessageStatus::Sending.as_str()];
            Messages::update_many()
                .col_expr(Message::ClaimedBy, null_text())
                .col_expr(Message::ClaimedUntil, null_time())
                .filter(Message::Status.eq(MessageStatus::Sending.as_str()))
                .exec(tx)
                .await?;
            let waiting_messages = Messages::find()
                .select_only()
                .column(Message::MessageIdentifier)
                .filter(Message::Status.is_in(unfinished))
                .into_query();
            let lost = ColumnTrait::eq(&Outbox::Status, OutboxStatus::Processed.as_str())
                .and(ColumnTrait::in_subquery(&Outbox::AggregateId, waiting_messages));
            let restarted = Events::update_many()
                .col_expr(Outbox::Status, Expr::value(OutboxStatus::Pending.as_str()))
                .col_expr(Outbox::NextRunAt, null_time())
                .col_expr(Outbox::ClaimedBy, null_text())
                .col_expr(Outbox::ClaimedUntil, null_time())
                .col_expr(Outbox::UpdatedAt, dialect.now())
                .filter(ColumnTrait::eq(&Outbox::Status, OutboxStatus::Processing.as_str()).or(lost))
                .exec(tx)
                .await?;
            Ok(restarted.rows_affected)
        })
    }
}

/// The messages of the oldest rows in `status`, as far as they were accepted more than `age` ago.
async fn oldest_unfinished(
    tx: &DatabaseTransaction,
    dialect: Dialect,
    status: MessageStatus,
    age: Duration,
) -> Result<Vec<String>, StepError> {
    let mut query = Messages::find()
        .select_only()
        .column(Message::MessageIdentifier)
        .expr_as(Expr::col(Message::CreatedAt).lt(dialect.before(age)), "is_old")
        .filter(ColumnTrait::eq(&Message::Status, status.as_str()))
        .order_by_asc(Message::Id)
        .limit(SEARCH_ROWS);
    QuerySelect::query(&mut query).force_index("idx_message_status_status", IndexHintScope::All);
    let rows: Vec<(String, bool)> = query.into_tuple().all(tx).await?;
    Ok(rows.into_iter().filter(|(_, is_old)| *is_old).map(|(message_id, _)| message_id).collect())
}
