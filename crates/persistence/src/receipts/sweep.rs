//! What a sweeper does about receipts: join those that missed their messages, give up waiting, delete what is old.

use std::{collections::BTreeMap, time::Duration};

use chrono::NaiveDateTime;
use domain::{DeliveryStatus, LedgerKind};
use instruments::names;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{
    matching::{join, lock_messages, write},
    meters::Tally,
    parked::Parked,
};
use crate::{
    Database, Error, Query, ReceiptPolicy,
    engine::{
        StepError, Tx, clock, count_up_to, reading,
        statements::{null_time, padded},
        transaction,
    },
    entity::{
        operator_message,
        receipt::{Column, Entity, Model},
    },
    money::{credits, refund::refund},
    watched::Watched,
};

/// After so long a receipt's message is not looked for any more.
const JOINED_WITHIN: Duration = Duration::from_hours(72);
/// Receipts that one transaction looks at.
const PAGE: u64 = 200;
/// Rows that one round changes at most.
const SWEPT_TOGETHER: u64 = 500;
/// The same of what is deleted, of which there is one for each message and more.
const PURGED_TOGETHER: u64 = 2_000;
/// `matched_row` of a receipt whose message is not looked for any more; no row has this number.
const ORPHANED: i64 = 0;

/// Where a look at waiting receipts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParkedPlace {
    received_at: NaiveDateTime,
    id: i64,
}

/// What a look at waiting receipts came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParkedPage {
    /// How many have their messages now.
    pub joined: u64,
    /// Where the next look goes on; `None` after the oldest.
    pub next: Option<ParkedPlace>,
}

impl Database {
    /// Joins receipts with messages that were recorded at the same moment: neither saw the other. Looks at a page of those that wait, the
    /// newest first, from `after` on.
    pub async fn join_parked(&self, after: Option<ParkedPlace>) -> Result<ParkedPage, Error> {
        let watched = self.watch_list().known();
        let (page, tally) = transaction!(self, Query::ReceiptsJoin, |tx| async {
            let rows = waiting(tx, after).await?;
            let next = rows.last().filter(|_| rows.len() as u64 == PAGE);
            let next = next.map(|row| ParkedPlace { received_at: row.received_at, id: row.id });
            let mut by_operator: BTreeMap<String, Vec<Parked>> = BTreeMap::new();
            for row in rows {
                by_operator.entry(row.operator.clone()).or_default().extend(Parked::read(row));
            }
            let mut tally = Tally::default();
            for (operator, parked) in by_operator {
                tally.add(join(tx, &operator, &parked, self.receipts(), &watched).await?);
            }
            tally.pay(tx).await?;
            Ok((next, tally))
        })
        .await?;
        let joined = tally.joined();
        tally.without_delays().report();
        Ok(ParkedPage { joined, next: page })
    }

    /// Gives up waiting for receipts that are due. Returns how many rows were looked at; call again while it is not 0.
    pub async fn give_up_receipts(&self) -> Result<u64, Error> {
        let watched = self.watch_list().known();
        let given_up = transaction!(self, Query::ReceiptsGiveUp, |tx| give_up(tx, self.receipts(), &watched)).await?;
        metrics::counter!(names::RECEIPTS_MISSING_TOTAL).increment(given_up.unknown);
        credits::count(LedgerKind::Corrective, given_up.refunded);
        Ok(given_up.looked_at)
    }

    /// Counts receipts that wait for their messages, up to `most`.
    pub async fn parked_receipts(&self, most: u64) -> Result<u64, Error> {
        reading!(self, Query::ReceiptsParked, |db| async {
            let rows = Entity::find().select_only().column(Column::ReceivedAt).filter(Column::MatchedRow.is_null());
            count_up_to(db, rows, None, most).await
        })
        .await
    }

    /// Gives up looking for the messages of some old receipts. Returns how many; call again while it is not 0.
    pub async fn orphan_receipts(&self) -> Result<u64, Error> {
        let orphaned = transaction!(self, Query::ReceiptsOrphan, |tx| async {
            let too_old = Expr::col(Column::ReceivedAt).lte(tx.dialect().before(JOINED_WITHIN));
            let ids = some(tx, Condition::all().add(Column::MatchedRow.is_null()).add(too_old), SWEPT_TOGETHER).await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let change = Entity::update_many().col_expr(Column::MatchedRow, Expr::value(ORPHANED));
            Ok(change.filter(Column::Id.is_in(padded(ids))).exec(tx).await?.rows_affected)
        })
        .await?;
        metrics::counter!(names::RECEIPTS_ORPHANED_TOTAL).increment(orphaned);
        Ok(orphaned)
    }

    /// Deletes some receipts that nobody asks for any more. Returns how many; call again while it is not 0.
    pub async fn purge_receipts(&self) -> Result<u64, Error> {
        transaction!(self, Query::ReceiptsPurge, |tx| async {
            let old = Expr::col(Column::ReceivedAt).lt(tx.dialect().before(self.receipts().kept_for()));
            let ids = some(tx, Condition::all().add(old), PURGED_TOGETHER).await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let deleted = Entity::delete_many().filter(Column::Id.is_in(padded(ids))).exec(tx).await?;
            Ok(deleted.rows_affected)
        })
        .await
    }
}

/// Some receipts in the order in which they were received, locked, without those that somebody else is at.
async fn some(tx: &Tx, condition: Condition, most: u64) -> Result<Vec<i64>, StepError> {
    let ids = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(condition)
        .order_by_asc(Column::ReceivedAt)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(ids)
}

/// A page of waiting receipts, the newest first. Nothing is locked: the messages come first.
async fn waiting(tx: &Tx, after: Option<ParkedPlace>) -> Result<Vec<Model>, StepError> {
    let mut query = Entity::find()
        .filter(Column::MatchedRow.is_null())
        .filter(Expr::col(Column::ReceivedAt).gt(tx.dialect().before(JOINED_WITHIN)));
    if let Some(ParkedPlace { received_at, id }) = after {
        let time = || Expr::val(tx.dialect().time(received_at));
        let earlier = Condition::any()
            .add(Expr::col(Column::ReceivedAt).lt(time()))
            .add(Condition::all().add(Expr::col(Column::ReceivedAt).eq(time())).add(Column::Id.lt(id)));
        query = query.filter(Expr::col(Column::ReceivedAt).lte(time())).filter(earlier);
    }
    Ok(query.order_by_desc(Column::ReceivedAt).order_by_desc(Column::Id).limit(PAGE).all(tx).await?)
}

#[derive(Debug, Default)]
struct GivenUp {
    looked_at: u64,
    /// Messages of which nobody knows now what became of them.
    unknown: u64,
    refunded: i64,
}

async fn give_up(tx: &Tx, policy: &ReceiptPolicy, watched: &Watched) -> Result<GivenUp, StepError> {
    use operator_message::{Column, Entity};
    let due: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::MessageRow)
        .filter(Expr::col(Column::ReceiptDueAt).lte(tx.dialect().now()))
        .order_by_asc(Column::ReceiptDueAt)
        .limit(SWEPT_TOGETHER)
        .into_tuple()
        .all(tx)
        .await?;
    if due.is_empty() {
        return Ok(GivenUp::default());
    }
    let looked_at = due.len() as u64;
    let mut messages = lock_messages(tx, due.iter().copied()).await?;
    let now = clock::now(tx).await?.naive_utc();
    let mut unknown = 0;
    for message in messages.values_mut() {
        unknown += u64::from(message.give_up(now) == Some(DeliveryStatus::Unknown));
    }
    let owed = write(tx, &messages, policy, watched).await?;
    let refunded = refund(tx, &owed.iter().collect::<Vec<_>>()).await?;
    // Of messages that are gone nobody asks again.
    let gone: Vec<i64> = due.into_iter().filter(|row| !messages.contains_key(row)).collect();
    if !gone.is_empty() {
        let change = Entity::update_many().col_expr(Column::ReceiptDueAt, null_time());
        change.filter(Column::MessageRow.is_in(padded(gone))).exec(tx).await?;
    }
    Ok(GivenUp { looked_at, unknown, refunded })
}
