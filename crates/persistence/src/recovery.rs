//! After a crash of the single process that owned an embedded database: its broker's memory is gone.

use domain::{MessageStatus, OutboxStatus};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr};

use crate::{
    Database, Error,
    entity::{message_status, outbox_event},
    outbox::{null_text, null_time},
    retry::write,
};

impl Database {
    /// Makes everything unfinished start again: claims and leases of the last run are void, and every message
    /// without an outcome is published anew. Returns how many events will be published again.
    ///
    /// Only for a database that no other process uses, before anything else runs: it ignores leases.
    pub async fn recover_embedded(&self) -> Result<u64, Error> {
        let dialect = self.dialect();
        write!(self, "recover_embedded", "recovering after the last run", |tx| {
            use message_status::{Column as Message, Entity as Messages};
            use outbox_event::{Column as Outbox, Entity as Events};
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
