//! A worker's writes: recipients are taken under a lease, what became of them is recorded, or they are put off. Many of these are
//! one transaction.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use domain::{LedgerKind, MessageId, MessageStatus, message::MAX_RECIPIENTS};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::{
    delivery::{Begin, BeginRequest, Deferral, Deferred, Settlement},
    operator_messages::{Accepted, Awaited, keep_ids},
    settle::{Written, defer, fail, record_done},
    take::begin,
    tell::tell_done,
};
use crate::{
    Database, Error, Query, ReceiptPolicy,
    engine::{Session, StepError, Tx, reading, transaction},
    entity::message_status::{Column, Entity},
    money::{credits, refund::refund},
    receipts::{Tally, join, waiting_for},
    watched::Watched,
};

/// What a message that is put off weighs at least.
const DEFER_WEIGHT: usize = 32;
/// Ids that receipts are looked for at a time, each in up to three forms.
const JOINED_TOGETHER: usize = 512;

/// Something to be written about a message's recipients.
#[derive(Debug, Clone)]
pub enum StateWrite {
    /// Take these under a lease.
    Begin(BeginRequest),
    /// Record what became of these; what failed is refunded in the same transaction.
    Settle(Vec<Settlement>),
    /// Put these off, and have the message published again later.
    Defer(MessageId, Deferral),
}

/// What became of a [`StateWrite`].
#[derive(Debug)]
pub enum StateWritten {
    /// What may be done with them.
    Begun(Begin),
    /// In order whether each was recorded: `false` means that our lease had run out and somebody else decides.
    Settled(Vec<bool>),
    /// Whether they are put off.
    Deferred(Deferred),
}

impl StateWrite {
    /// What it adds to a transaction, in recipients: those that it is about, and as many more as it has further ids of
    /// parts. What is put off has statements of its own, so a transaction shall hold few of these.
    pub fn weight(&self) -> usize {
        match self {
            Self::Begin(request) => request.recipients.len(),
            Self::Settle(settlements) => settlements.iter().map(Settlement::weight).sum(),
            Self::Defer(_, deferral) => (deferral.maybe_taken.len() + deferral.untaken.len()).max(DEFER_WEIGHT),
        }
    }

    fn query(&self) -> Query {
        match self {
            Self::Begin(_) => Query::BeginSending,
            Self::Settle(_) => Query::Settle,
            Self::Defer(..) => Query::Defer,
        }
    }
}

impl Database {
    /// Writes all of these in one transaction. Answers come in order.
    pub async fn write_states(&self, writes: &[StateWrite], lease: Duration) -> Result<Vec<StateWritten>, Error> {
        let mut kinds: Vec<_> = writes.iter().map(StateWrite::query).collect();
        kinds.dedup();
        let query = if let [only] = kinds[..] { only } else { Query::WriteStates };
        let watched = self.watch_list().known();
        let (written, refunded, tally) =
            transaction!(self, query, |tx| write(tx, writes, lease, self.receipts(), &watched)).await?;
        credits::count(LedgerKind::Corrective, refunded);
        tally.report();
        Ok(written)
    }

    /// Takes recipients of several messages under leases: [`write_states`](Self::write_states) of nothing else.
    pub async fn begin_sending(&self, requests: &[BeginRequest], lease: Duration) -> Result<Vec<Begin>, Error> {
        let writes: Vec<_> = requests.iter().cloned().map(StateWrite::Begin).collect();
        let begun = |written| if let StateWritten::Begun(begin) = written { Some(begin) } else { None };
        Ok(self.write_states(&writes, lease).await?.into_iter().filter_map(begun).collect())
    }

    /// A message's recipients that are over, one way or the other; at most as many as a message may have.
    pub async fn finished_recipients(&self, message_id: &MessageId) -> Result<HashSet<String>, Error> {
        reading!(self, Query::BeginSending, |db| finished(db, message_id)).await
    }

    /// Records outcomes: [`write_states`](Self::write_states) of nothing else.
    pub async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, Error> {
        let write = [StateWrite::Settle(settlements.to_vec())];
        let settled = |written| if let StateWritten::Settled(recorded) = written { recorded } else { Vec::new() };
        Ok(self.write_states(&write, Duration::ZERO).await?.into_iter().flat_map(settled).collect())
    }

    /// Puts recipients of a message off: [`write_states`](Self::write_states) of nothing else.
    pub async fn defer(&self, message_id: &MessageId, deferral: Deferral) -> Result<Deferred, Error> {
        let write = [StateWrite::Defer(message_id.clone(), deferral)];
        match self.write_states(&write, Duration::ZERO).await?.pop() {
            Some(StateWritten::Deferred(deferred)) => Ok(deferred),
            _ => Ok(Deferred::NotYet),
        }
    }
}

/// Each kind with the same few statements however many there are. What is given back comes last, all at once: balances are locked after
/// all messages and receipts, and in one order.
async fn write(
    tx: &Tx,
    writes: &[StateWrite],
    lease: Duration,
    policy: &ReceiptPolicy,
    watched: &Watched,
) -> Result<(Vec<StateWritten>, i64, Tally), StepError> {
    let (mut to_settle, mut to_begin, mut deferred) = (Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        match write {
            StateWrite::Settle(settlements) => to_settle.extend(settlements),
            StateWrite::Begin(request) => to_begin.push(request),
            StateWrite::Defer(..) => {}
        }
    }
    let mut recorded = vec![Written::default(); to_settle.len()];
    record_done(tx, &to_settle, &mut recorded, watched).await?;
    let awaited = keep_ids(tx, Accepted::of(&to_settle, &recorded), policy).await?;
    tell_done(tx, watched, &to_settle, &recorded).await?;
    for write in writes {
        if let StateWrite::Defer(message_id, deferral) = write {
            deferred.push(defer(tx, message_id, deferral).await?);
        }
    }
    let (begun, expired) =
        if to_begin.is_empty() { (Vec::new(), Vec::new()) } else { begin(tx, &to_begin, lease).await? };
    let failed = fail(tx, &to_settle, &mut recorded, expired, watched).await?;
    let mut tally = join_early(tx, &awaited, policy, watched).await?;
    let owed: BTreeMap<i64, _> = failed.into_iter().chain(tally.take_owed()).map(|row| (row.id, row)).collect();
    let refunded = refund(tx, &owed.values().collect::<Vec<_>>()).await?;
    let recorded = recorded.into_iter().map(|recorded| recorded.is_ours);
    let (mut recorded, mut begun, mut deferred) = (recorded, begun.into_iter(), deferred.into_iter());
    let answer = |write: &StateWrite| match write {
        StateWrite::Settle(settlements) => StateWritten::Settled(recorded.by_ref().take(settlements.len()).collect()),
        StateWrite::Begin(_) => StateWritten::Begun(begun.next().unwrap_or_default()),
        StateWrite::Defer(..) => StateWritten::Deferred(deferred.next().unwrap_or(Deferred::NotYet)),
    };
    Ok((writes.iter().map(answer).collect(), refunded, tally))
}

async fn finished(db: &Session, message_id: &MessageId) -> Result<HashSet<String>, StepError> {
    let over = [MessageStatus::Done, MessageStatus::Failed].map(MessageStatus::as_str);
    let recipients: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Recipient)
        .filter(Column::MessageIdentifier.eq(message_id.as_str()))
        .filter(Column::Status.is_in(over))
        .limit(MAX_RECIPIENTS as u64)
        .into_tuple()
        .all(db)
        .await?;
    Ok(recipients.into_iter().collect())
}

/// Receipts may have come before the answer of their operator was recorded.
pub(super) async fn join_early(
    tx: &Tx,
    awaited: &Awaited,
    policy: &ReceiptPolicy,
    watched: &Watched,
) -> Result<Tally, StepError> {
    let mut tally = Tally::default();
    for (operator, ids) in awaited {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for ids in ids.chunks(JOINED_TOGETHER) {
            let parked = waiting_for(tx, operator, ids).await?;
            tally.add(join(tx, operator, &parked, policy, watched).await?);
        }
    }
    Ok(tally)
}
