//! What operators call the messages that they took: kept where one says so, for receipts and for whoever asks the operator.

use std::{collections::HashMap, time::Duration};

use domain::ProviderMessageId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{
    delivery::{Outcome, Settlement},
    these,
};
use crate::{
    Database, Error, Query,
    engine::{Session, StepError, Tx, sql::insert, statements::padded, transaction},
    entity::{
        message_status,
        operator_message::{ActiveModel, Column, Entity, Model},
    },
};

/// How long an operator's id is kept: receipts come within 3 days, and a week more is for questions.
const KEPT_FOR: Duration = Duration::from_hours(10 * 24);

/// Rows that one round of housekeeping deletes at most.
const PURGED_TOGETHER: u64 = 500;

/// A message as an operator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorMessage {
    /// The operator's name.
    pub operator: String,
    /// What it calls the message, as it said.
    pub provider_message_id: String,
}

impl Database {
    /// Deletes some ids of operators that nobody asks for any more. Returns how many; call again while it is not 0.
    pub async fn purge_operator_messages(&self) -> Result<u64, Error> {
        transaction!(self, Query::OperatorMessagesPurge, |tx| async {
            let ids: Vec<i64> = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Expr::col(Column::CreatedAt).lt(tx.dialect().before(KEPT_FOR)))
                .order_by_asc(Column::CreatedAt)
                .limit(PURGED_TOGETHER)
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
        .await
    }
}

/// Keeps the ids of those that were recorded as accepted. Where no operator gave one nothing is asked of the database.
pub(super) async fn keep_ids(tx: &Tx, settlements: &[&Settlement], recorded: &[bool]) -> Result<(), StepError> {
    let called: Vec<_> = settlements
        .iter()
        .zip(recorded)
        .filter(|(_, is_recorded)| **is_recorded)
        .filter_map(|(settlement, _)| match (&settlement.outcome, &settlement.provider_message_id) {
            (Outcome::Done { provider }, Some(id)) => Some((settlement.claimed.pair(), provider, id)),
            _ => None,
        })
        .collect();
    if called.is_empty() {
        return Ok(());
    }
    let rows: Vec<(i64, String, String)> = message_status::Entity::find()
        .select_only()
        .columns([
            message_status::Column::Id,
            message_status::Column::MessageIdentifier,
            message_status::Column::Recipient,
        ])
        .filter(these(called.iter().map(|(pair, ..)| *pair)))
        .into_tuple()
        .all(tx)
        .await?;
    let ids: HashMap<_, _> =
        rows.iter().map(|(id, message_id, recipient)| ((message_id.as_str(), recipient.as_str()), *id)).collect();
    let row = |((message_id, recipient), provider, id): ((&domain::MessageId, &domain::Recipient), &String, &_)| {
        ids.get(&(message_id.as_str(), recipient.as_str())).map(|message_row| new_row(provider, id, *message_row))
    };
    insert(tx, called.into_iter().filter_map(row).collect()).await
}

fn new_row(operator: &str, id: &ProviderMessageId, message_row: i64) -> ActiveModel {
    let normalised = id.normalised();
    let given = (normalised != id.as_str()).then(|| id.as_str().to_owned());
    ActiveModel {
        operator: Set(operator.to_owned()),
        provider_id: Set(normalised),
        given_id: Set(given),
        message_row: Set(message_row),
        ..Default::default()
    }
}

/// Those of these rows of `message_status`, in the order in which they were kept.
pub(super) async fn of_rows(db: &Session, rows: &[i64]) -> Result<HashMap<i64, Vec<OperatorMessage>>, StepError> {
    let mut found: HashMap<i64, Vec<OperatorMessage>> = HashMap::new();
    if rows.is_empty() {
        return Ok(found);
    }
    let kept: Vec<Model> = Entity::find()
        .filter(Column::MessageRow.is_in(padded(rows.iter().copied())))
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    for row in kept {
        let provider_message_id = row.given_id.unwrap_or(row.provider_id);
        let message = OperatorMessage { operator: row.operator, provider_message_id };
        found.entry(row.message_row).or_default().push(message);
    }
    Ok(found)
}
