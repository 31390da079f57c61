//! What operators call the messages that they took: kept where one says so, for receipts and for whoever asks the operator.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{
    delivery::{Called, Outcome, Settlement},
    settle::Written,
};
use crate::{
    Database, Error, Query, ReceiptPolicy,
    engine::{
        Session, StepError, Tx,
        sql::{Computed, insert, insert_computing},
        statements::padded,
        transaction,
    },
    entity::operator_message::{ActiveModel, Column, Entity, Model},
};

/// Rows that one round of housekeeping deletes at most.
const PURGED_TOGETHER: u64 = 2_000;

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
                .filter(Expr::col(Column::CreatedAt).lt(tx.dialect().before(self.receipts().kept_for())))
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

/// Keeps the ids of those that were recorded as accepted. Where no operator gave one nothing is asked of the database. Tells which ids
/// of which operators may have receipts by now.
pub(super) async fn keep_ids(
    tx: &Tx,
    settlements: &[&Settlement],
    recorded: &[Written],
    policy: &ReceiptPolicy,
) -> Result<BTreeMap<String, Vec<String>>, StepError> {
    let called: Vec<_> = settlements
        .iter()
        .zip(recorded)
        .filter_map(|(settlement, recorded)| match (&settlement.outcome, &settlement.called) {
            (Outcome::Done { provider }, Some(called)) => Some((recorded.row?, provider, called)),
            _ => None,
        })
        .collect();
    if called.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (mut reported, mut others, mut awaited) = (Vec::new(), Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for (message_row, provider, Called { id, reports }) in called {
        let normalised = id.normalised();
        let row = new_row(provider, id.as_str(), &normalised, message_row);
        if *reports {
            awaited.entry(provider.clone()).or_default().push(normalised);
            reported.push(row);
        } else {
            others.push(row);
        }
    }
    insert(tx, others).await?;
    insert_computing(tx, reported, policy.timeout.map(|timeout| due(tx, timeout))).await?;
    Ok(awaited)
}

/// Until when a receipt is waited for.
fn due(tx: &Tx, timeout: Duration) -> Computed {
    let dialect = tx.dialect();
    Computed { column: "receipt_due_at", expression: dialect.after_text(), value: dialect.delay(timeout) }
}

fn new_row(operator: &str, given: &str, normalised: &str, message_row: i64) -> ActiveModel {
    let given_id = (normalised != given).then(|| given.to_owned());
    ActiveModel {
        operator: Set(operator.to_owned()),
        provider_id: Set(normalised.to_owned()),
        given_id: Set(given_id),
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
        let known = found.entry(row.message_row).or_default();
        // Parts may have one id.
        if !known.contains(&message) {
            known.push(message);
        }
    }
    Ok(found)
}
