//! Taking receipts in: each is stored once, and joined with its message where that is known.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::{ErrorCode, Receipt, ReportedNumber};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use super::{
    candidates::find,
    matching::join,
    meters::{self, Tally},
    parked::Parked,
};
use crate::{
    Database, Error, Query, ReceiptPolicy,
    engine::{StepError, Tx, sql::insert_new, statements::padded, transaction},
    entity::receipt::{ActiveModel, Column, Entity, Model},
    watched::Watched,
};

/// A receipt of an operator.
#[derive(Debug, Clone)]
pub struct NewReceipt {
    /// The operator's name, as messages are recorded under it.
    pub operator: String,
    /// What it tells.
    pub receipt: Receipt,
}

/// What became of receipts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Stored for the first time.
    pub new: u64,
    /// Joined with their messages now.
    pub joined: u64,
}

impl Database {
    /// Stores receipts and what they tell of their messages, in one transaction. One that was stored before changes nothing; one whose
    /// message is not known waits for it.
    pub async fn take_receipts(&self, receipts: &[NewReceipt]) -> Result<Received, Error> {
        if receipts.is_empty() {
            return Ok(Received::default());
        }
        let watched = self.watch_list().known();
        let (new, tally) =
            transaction!(self, Query::ReceiptsTake, |tx| take(tx, receipts, self.receipts(), &watched)).await?;
        for place in &new {
            let NewReceipt { operator, receipt } = &receipts[*place];
            meters::stored(operator, receipt.state);
        }
        let received = Received { new: new.len() as u64, joined: tally.joined() };
        tally.report();
        Ok(received)
    }
}

/// The places of those that are new, and what joining came to.
async fn take(
    tx: &Tx,
    receipts: &[NewReceipt],
    policy: &ReceiptPolicy,
    watched: &Watched,
) -> Result<(Vec<usize>, Tally), StepError> {
    let digests: Vec<_> = receipts.iter().map(|new| new.receipt.digest(&new.operator)).collect();
    let mut known = rows_of(tx, receipts, &digests).await?;
    let mut seen = HashSet::new();
    let is_new = |place: &usize| !known.contains_key(&digests[*place][..]) && seen.insert(digests[*place]);
    let mut new: Vec<_> = (0..receipts.len()).filter(is_new).collect();
    if !new.is_empty() {
        // In one order, so that two that store the same do not wait for each other in a circle.
        new.sort_by_key(|place| digests[*place]);
        insert_new(tx, new.iter().map(|place| row(&receipts[*place], &digests[*place])).collect()).await?;
        known = rows_of(tx, receipts, &digests).await?;
    }
    let mut parked: BTreeMap<String, Vec<Parked>> = BTreeMap::new();
    let (waiting, joined): (Vec<_>, Vec<_>) = known.into_values().partition(|row| row.matched_row.is_none());
    let again = of_other_messages(tx, joined).await?;
    for row in waiting.into_iter().chain(again) {
        parked.entry(row.operator.clone()).or_default().extend(Parked::read(row));
    }
    let mut tally = Tally::default();
    for (operator, mut parked) in parked {
        parked.sort_by_key(|receipt| receipt.id);
        tally.add(join(tx, &operator, &parked, policy, watched).await?);
    }
    tally.pay(tx).await?;
    Ok((new, tally))
}

/// Those of these receipts that were told of another message before: ids come again, and a message that was taken since, and of which
/// nothing is known yet, is the one that is meant now. They wait for their message anew.
async fn of_other_messages(tx: &Tx, joined: Vec<Model>) -> Result<Vec<Model>, StepError> {
    let mut by_operator: BTreeMap<String, Vec<Model>> = BTreeMap::new();
    for row in joined {
        by_operator.entry(row.operator.clone()).or_default().push(row);
    }
    let mut again = Vec::new();
    for (operator, rows) in by_operator {
        let read: Vec<_> = rows.iter().cloned().map(Parked::read).collect();
        let (rows, read): (Vec<_>, Vec<_>) =
            rows.into_iter().zip(read).filter_map(|(row, read)| Some((row, read?))).unzip();
        for (row, found) in rows.into_iter().zip(find(tx, &operator, &read).await?) {
            let is_another = found.is_some_and(|found| {
                Some(found.message_row) != row.matched_row
                    && found.unheard_since.is_some_and(|since| since >= row.received_at)
            });
            if is_another {
                again.push(row);
            }
        }
    }
    if !again.is_empty() {
        Entity::update_many()
            .col_expr(Column::MatchedRow, Expr::value(None::<i64>))
            .col_expr(Column::ReceivedAt, tx.dialect().now())
            .filter(Column::Id.is_in(padded(again.iter().map(|row| row.id))))
            .exec(tx)
            .await?;
    }
    Ok(again)
}

/// The stored ones of these, by their digests.
async fn rows_of(tx: &Tx, receipts: &[NewReceipt], digests: &[[u8; 32]]) -> Result<HashMap<Vec<u8>, Model>, StepError> {
    let mut by_operator: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    for (new, digest) in receipts.iter().zip(digests) {
        by_operator.entry(&new.operator).or_default().push(digest.to_vec());
    }
    let mut known = HashMap::new();
    for (operator, digests) in by_operator {
        let rows = Entity::find()
            .filter(Column::Operator.eq(operator))
            .filter(Column::Digest.is_in(padded(digests)))
            .limit(receipts.len() as u64)
            .all(tx)
            .await?;
        known.extend(rows.into_iter().map(|row| (row.digest.clone(), row)));
    }
    Ok(known)
}

fn row(new: &NewReceipt, digest: &[u8; 32]) -> ActiveModel {
    let Receipt { id, state, recipient, error_code, part } = &new.receipt;
    ActiveModel {
        operator: Set(new.operator.clone()),
        provider_id: Set(id.normalised()),
        recipient: Set(recipient.as_ref().map(ReportedNumber::as_str).map(str::to_owned)),
        state: Set(state.as_str().to_owned()),
        error_code: Set(error_code.as_ref().map(ErrorCode::as_str).map(str::to_owned)),
        part: Set(part.map(i16::from)),
        digest: Set(digest.to_vec()),
        ..Default::default()
    }
}
