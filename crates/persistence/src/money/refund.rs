//! Giving back what was charged for a recipient: once, in the transaction that records the failure.

use std::collections::{BTreeMap, HashSet};

use domain::{CustomerId, LedgerKind, TransactionId};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::ledger;
use crate::{
    engine::{StepError, Tx, sql::insert, statements::padded},
    entity::{
        message_status,
        user_transaction::{ActiveModel, Column, Entity},
    },
};

/// What one failed recipient's customer gets back.
struct Refund {
    customer: CustomerId,
    amount: i64,
    charge: String,
    recipient: String,
    message_id: String,
}

/// Refunds the recipients of `failed` rows, which this transaction has locked and is moving to `failed`. Returns the
/// credits given back.
///
/// The state guard on the rows already makes this happen once; the ledger is asked too, and its unique key
/// (`refund_of`, `recipient`) would refuse a second refund whatever else went wrong.
pub(crate) async fn refund(tx: &Tx, failed: &[&message_status::Model]) -> Result<i64, StepError> {
    let mut refunds: Vec<Refund> = failed.iter().filter_map(|row| refund_of(row)).collect();
    if refunds.is_empty() {
        return Ok(0);
    }
    let done = already_refunded(tx, &refunds).await?;
    refunds.retain(|refund| !done.contains(&(refund.charge.clone(), refund.recipient.clone())));
    let mut changes: BTreeMap<CustomerId, i64> = BTreeMap::new();
    for refund in &refunds {
        *changes.entry(refund.customer).or_default() += refund.amount;
    }
    if changes.is_empty() {
        return Ok(0);
    }
    let customers: Vec<_> = changes.keys().copied().collect();
    let balances = ledger::lock_balances(tx, &customers).await?;
    for customer in customers {
        if !balances.contains_key(&customer) {
            ledger::create_balance(tx, customer).await?;
        }
    }
    insert(tx, refunds.iter().map(ledger_row).collect()).await?;
    ledger::change_balances(tx, &changes).await?;
    Ok(changes.values().sum())
}

fn refund_of(row: &message_status::Model) -> Option<Refund> {
    let known = (CustomerId::try_from(row.user_id).ok(), row.price.filter(|price| *price > 0), &row.transaction_id);
    let (Some(customer), Some(amount), Some(charge)) = known else {
        tracing::error!(
            message_identifier = row.message_identifier,
            row = row.id,
            "a failed message names no charge: nothing is refunded"
        );
        return None;
    };
    Some(Refund {
        customer,
        amount,
        charge: charge.clone(),
        recipient: row.recipient.clone(),
        message_id: row.message_identifier.clone(),
    })
}

async fn already_refunded(tx: &Tx, refunds: &[Refund]) -> Result<HashSet<(String, String)>, StepError> {
    let charges: HashSet<&str> = refunds.iter().map(|refund| refund.charge.as_str()).collect();
    let rows: Vec<(String, String)> = Entity::find()
        .select_only()
        .columns([Column::RefundOf, Column::Recipient])
        .filter(Column::RefundOf.is_in(padded(charges)))
        .filter(Column::Recipient.is_not_null())
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().collect())
}

fn ledger_row(refund: &Refund) -> ActiveModel {
    ActiveModel {
        user_id: Set(refund.customer.get()),
        amount: Set(refund.amount),
        transaction_type: Set(LedgerKind::Corrective.as_str().to_owned()),
        description: Set(Some(format!("refund: message {} to {}", refund.message_id, refund.recipient))),
        transaction_id: Set(TransactionId::from_uuid(Uuid::now_v7()).into()),
        refund_of: Set(Some(refund.charge.clone())),
        recipient: Set(Some(refund.recipient.clone())),
        ..Default::default()
    }
}
