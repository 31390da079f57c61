//! Taking receipts in: each is stored once, and joined with its message where that is known.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{NaiveDateTime, TimeDelta};
use domain::{ErrorCode, Receipt, ReportedNumber};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{
    candidates::find,
    matching::join,
    meters::{self, Tally},
    parked::Parked,
};
use crate::{
    Database, Error, Query, ReceiptPolicy,
    engine::{StepError, Tx, clock, sql::insert_new, statements::padded, transaction},
    entity::receipt::{ActiveModel, Column, Entity, Model},
    watched::Watched,
};

/// Operators repeat what was not answered for so long at most; an id does not come again so soon.
const REPEATED_WITHIN: TimeDelta = TimeDelta::hours(1);

/// A receipt of an operator.
#[derive(Debug, Clone)]
pub struct NewReceipt {
    /// The operator's name, as messages are recorded under it.
    pub operator: String,
    /// What it tells.
    pub receipt: Receipt,
    /// Whether its id is written as in the operator's answers, so that the same number in other digits names another message.
    pub exact: bool,
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
            let NewReceipt { operator, receipt, .. } = &receipts[*place];
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

/// Those of these receipts that told of another message before: ids come again, and a message that was taken since, and whose end is
/// not known yet, is the one that is meant now. They wait for their message anew. One that comes again soon is a repetition, whatever
/// else its id may name by now.
async fn of_other_messages(tx: &Tx, mut joined: Vec<Model>) -> Result<Vec<Model>, StepError> {
    if joined.is_empty() {
        return Ok(joined);
    }
    let now = clock::now(tx).await?.naive_utc();
    let is_old = |row: &Model| now - row.received_at > REPEATED_WITHIN;
    joined.retain(is_old);
    let mut by_operator: BTreeMap<String, Vec<(Model, Parked)>> = BTreeMap::new();
    for row in joined {
        let Some(parked) = Parked::read(row.clone()) else { continue };
        by_operator.entry(row.operator.clone()).or_default().push((row, parked));
    }
    let mut others = Vec::new();
    for (operator, receipts) in by_operator {
        let (rows, read): (Vec<_>, Vec<_>) = receipts.into_iter().unzip();
        for (row, found) in rows.into_iter().zip(find(tx, &operator, &read).await?) {
            let is_another = found.is_some_and(|found| {
                Some(found.message_row) != row.matched_row
                    && found.open_since.is_some_and(|since| since >= row.received_at)
            });
            if is_another {
                others.push(row.id);
            }
        }
    }
    wait_anew(tx, others, now, is_old).await
}

/// Lets these receipts wait for their messages as if they came now, but for those that somebody else has let wait meanwhile.
async fn wait_anew(
    tx: &Tx,
    rows: Vec<i64>,
    now: NaiveDateTime,
    is_old: impl Fn(&Model) -> bool,
) -> Result<Vec<Model>, StepError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Entity::find().filter(Column::Id.is_in(padded(rows))).lock(LockType::Update).all(tx).await?;
    rows.retain(is_old);
    if rows.is_empty() {
        return Ok(rows);
    }
    Entity::update_many()
        .col_expr(Column::MatchedRow, Expr::value(None::<i64>))
        .col_expr(Column::ReceivedAt, Expr::val(tx.dialect().time(now)))
        .filter(Column::Id.is_in(padded(rows.iter().map(|row| row.id))))
        .exec(tx)
        .await?;
    Ok(rows.into_iter().map(|row| Model { matched_row: None, received_at: now, ..row }).collect())
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
        exact: Set(new.exact),
        ..Default::default()
    }
}
