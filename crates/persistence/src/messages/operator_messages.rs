//! What operators call the messages that they took: kept where one says so, for receipts and for whoever asks the operator.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use domain::Part;
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

/// What an operator accepted, as it was recorded.
pub(super) struct Accepted<'a> {
    /// `message_status.id`.
    pub(super) message_row: i64,
    pub(super) operator: &'a str,
    pub(super) called: &'a [Called],
}

impl<'a> Accepted<'a> {
    /// Those of these whose rows are known.
    pub(super) fn of(settlements: &[&'a Settlement], recorded: &[Written]) -> Vec<Self> {
        let accepted = |(settlement, recorded): (&&'a Settlement, &Written)| match &settlement.outcome {
            Outcome::Done { provider } => {
                Some(Self { message_row: recorded.row?, operator: provider, called: &settlement.called })
            }
            Outcome::Failed { .. } | Outcome::NeverKnown => None,
        };
        settlements.iter().zip(recorded).filter_map(accepted).collect()
    }
}

/// Which ids may have receipts by now, by operator.
pub(super) type Awaited = BTreeMap<String, BTreeSet<String>>;

/// Keeps the ids of what was recorded as accepted. Where no operator gave one nothing is asked of the database.
pub(super) async fn keep_ids(
    tx: &Tx,
    accepted: Vec<Accepted<'_>>,
    policy: &ReceiptPolicy,
) -> Result<Awaited, StepError> {
    let mut awaited = Awaited::new();
    let ids = || accepted.iter().flat_map(|accepted| accepted.called);
    if ids().next().is_none() {
        return Ok(awaited);
    }
    // The columns of an INSERT are the same for all of its rows.
    let has_parts = ids().any(|called| called.part != Part::WHOLE);
    let (mut reported, mut others) = (Vec::new(), Vec::new());
    for Accepted { message_row, operator, called } in accepted {
        for Called { id, reports, part } in called {
            let normalised = id.normalised();
            let row = new_row(operator, id.as_str(), &normalised, message_row);
            let row = if has_parts { of_part(row, *part) } else { row };
            if *reports {
                awaited.entry(operator.to_owned()).or_default().insert(normalised);
                reported.push(row);
            } else {
                others.push(row);
            }
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

fn of_part(row: ActiveModel, part: Part) -> ActiveModel {
    ActiveModel { part: Set(part.number().into()), parts: Set(part.of().into()), ..row }
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
