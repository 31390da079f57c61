//! The start after a crash of an embedded broker, whose memory is gone: the database knows what is unfinished, so it is published
//! again.

use domain::{MessageStatus, OutboxStatus};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr};

use crate::{
    Database, Error, Query,
    engine::{
        statements::{null_text, null_time},
        transaction,
    },
    entity::{
        message_status::{Column as Message, Entity as Messages},
        outbox_event::{Column as Outbox, Entity as Events},
    },
};

impl Database {
    /// Makes everything unfinished start again: claims and leases of the last run are void, and every message
    /// without an outcome is published anew. Returns how many events will be published again.
    ///
    /// Only for a database that no other process uses, before anything else runs: it ignores leases.
    pub async fn recover_embedded(&self) -> Result<u64, Error> {
        transaction!(self, Query::RecoverEmbedded, |tx| async {
            // Written out: so SQLite sees that its index of unfinished messages has them all.
            let unfinished = || Expr::cust("status IN ('pending', 'sending')");
            Messages::update_many()
                .col_expr(Message::ClaimedBy, null_text())
                .col_expr(Message::ClaimedUntil, null_time())
                .filter(unfinished())
                .filter(Message::Status.eq(MessageStatus::Sending.as_str()))
                .exec(tx)
                .await?;
            let waiting_messages =
                Messages::find().select_only().column(Message::MessageIdentifier).filter(unfinished()).into_query();
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
