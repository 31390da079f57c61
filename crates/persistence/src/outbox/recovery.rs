//! Messages that the broker lost: after a crash of an embedded one, whose memory is gone, or whatever else became of
//! a queue. The database knows what is unfinished, so it is published again.

use std::time::Duration;

use domain::{EventKind, MessageStatus, OutboxStatus};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{
        Expr,
        extension::mysql::{IndexHintScope, MySqlSelectStatementExt},
    },
};

use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx,
        statements::{null_text, null_time, padded},
        transaction,
    },
    entity::{
        message_status::{Column as Message, Entity as Messages},
        outbox_event::{Column as Outbox, Entity as Events},
    },
};

/// Unfinished rows that one transaction of a search looks at.
const SEARCH_ROWS: u64 = 500;
/// Transactions of one search, for each state: it looks at the oldest 100,000 rows.
const SEARCH_PAGES: u32 = 200;

impl Database {
    /// Publishes messages again whose event was published or given up more than `age` ago and that are still
    /// unfinished: dead-lettered after too many crashes, lost with a queue, or given up while a worker held them. A copy that is still queued somewhere does no harm, for the
    /// rows decide who sends. Returns how many events will be published again.
    pub async fn republish_stuck(&self, age: Duration) -> Result<u64, Error> {
        let mut republished = 0;
        for status in [MessageStatus::Pending, MessageStatus::Sending] {
            let mut after = 0;
            for _ in 0..SEARCH_PAGES {
                let page = self.stuck_page(status, age, after).await?;
                republished += page.republished;
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
        }
        Ok(republished)
    }

    async fn stuck_page(&self, status: MessageStatus, age: Duration, after: i64) -> Result<StuckPage, Error> {
        transaction!(self, Query::OutboxRepublish, |tx| async {
            let rows = oldest_unfinished(tx, status, age, after).await?;
            let is_full = rows.len() as u64 == SEARCH_ROWS;
            // Rows are read in the order they were accepted: after the first young one there are no old ones.
            let next = rows.last().filter(|row| is_full && row.is_old).map(|row| row.id);
            let stuck: Vec<String> =
                rows.into_iter().filter(|row| row.is_old).map(|row| row.message_identifier).collect();
            let republished = if stuck.is_empty() { 0 } else { republish(tx, stuck, age).await? };
            Ok(StuckPage { republished, next })
        })
        .await
    }

    /// Makes everything unfinished start again: claims and leases of the last run are void, and every message
    /// without an outcome is published anew. Returns how many events will be published again.
    ///
    /// Only for a database that no other process uses, before anything else runs: it ignores leases.
    pub async fn recover_embedded(&self) -> Result<u64, Error> {
        transaction!(self, Query::RecoverEmbedded, |tx| async {
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
                .col_expr(Outbox::UpdatedAt, tx.dialect().now())
                .filter(ColumnTrait::eq(&Outbox::Status, OutboxStatus::Processing.as_str()).or(lost))
                .exec(tx)
                .await?;
            Ok(restarted.rows_affected)
        })
        .await
    }
}

struct StuckPage {
    republished: u64,
    /// Where the next page starts; `None` after the last one.
    next: Option<i64>,
}

#[derive(FromQueryResult)]
struct Unfinished {
    id: i64,
    message_identifier: String,
    is_old: bool,
}

/// The oldest rows in `status` after the row `after`, each with whether it was accepted more than `age` ago.
async fn oldest_unfinished(
    tx: &Tx,
    status: MessageStatus,
    age: Duration,
    after: i64,
) -> Result<Vec<Unfinished>, StepError> {
    let mut query = Messages::find()
        .select_only()
        .columns([Message::Id, Message::MessageIdentifier])
        .expr_as(Expr::col(Message::CreatedAt).lt(tx.dialect().before(age)), "is_old")
        .filter(ColumnTrait::eq(&Message::Status, status.as_str()))
        .filter(ColumnTrait::gt(&Message::Id, after))
        .order_by_asc(Message::Id)
        .limit(SEARCH_ROWS);
    QuerySelect::query(&mut query).force_index("idx_message_status_status", IndexHintScope::All);
    Ok(query.into_model().all(tx).await?)
}

async fn republish(tx: &Tx, messages: Vec<String>, age: Duration) -> Result<u64, StepError> {
    let republished = Events::update_many()
        .col_expr(Outbox::Status, Expr::value(OutboxStatus::Pending.as_str()))
        .col_expr(Outbox::UpdatedAt, tx.dialect().now())
        .filter(Outbox::AggregateId.is_in(padded(messages)))
        .filter(ColumnTrait::eq(&Outbox::EventType, EventKind::Send.as_str()))
        .filter(Outbox::Status.is_in([OutboxStatus::Processed.as_str(), OutboxStatus::Failed.as_str()]))
        .filter(Expr::col(Outbox::UpdatedAt).lt(tx.dialect().before(age)))
        .exec(tx)
        .await?;
    Ok(republished.rows_affected)
}
