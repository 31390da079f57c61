//! A worker's view of a message: take recipients under a lease, record what became of them, or put them off.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use domain::{EventKind, LedgerKind, MessageId, MessageStatus, OutboxStatus, Recipient};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx,
        statements::{null_text, null_time, padded},
        transaction,
    },
    entity::{
        message_status::{Column, Entity, Model},
        outbox_event::{self, Column as Outbox},
    },
    money::{credits, refund::refund},
};

/// Recipients of one message that a worker wants to send to.
#[derive(Debug, Clone)]
pub struct BeginRequest {
    /// The message.
    pub message_id: MessageId,
    /// Some of its recipients; keep it to a few dozen, they are locked together. SQLite takes 512 in one call.
    pub recipients: Vec<Recipient>,
}

/// What a worker may do with the recipients it asked for.
#[derive(Debug, Default)]
pub struct Begin {
    /// These are ours until the lease ends: send them.
    pub claimed: Vec<ClaimedRecipient>,
    /// Another worker holds some; its lease ends after this time at the latest.
    pub busy: Option<Duration>,
    /// How many are in a final state already.
    pub finished: usize,
    /// How many are not stored at all: they were never charged and must not be sent.
    pub unknown: usize,
}

/// A recipient under our lease.
#[derive(Debug, Clone)]
pub struct ClaimedRecipient {
    /// To whom.
    pub recipient: Recipient,
    /// Whether a worker had it before and left no outcome: an operator may already have it.
    pub resumed: bool,
    /// Time since the request was accepted, on the database's clock.
    pub age: Duration,
    claim: Claim,
}

#[derive(Debug, Clone)]
struct Claim {
    row: i64,
    token: Arc<str>,
}

/// What became of one claimed recipient.
#[derive(Debug, Clone)]
pub struct Settlement {
    claim: Claim,
    outcome: Outcome,
}

impl Settlement {
    /// The outcome of `recipient`.
    pub fn new(recipient: &ClaimedRecipient, outcome: Outcome) -> Self {
        Self { claim: recipient.claim.clone(), outcome }
    }

    /// The outcome.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// The end of a recipient's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This operator accepted it.
    Done {
        /// The operator's name.
        provider: String,
    },
    /// It was definitely not accepted; it will be refunded.
    Failed {
        /// The operator that rejected it for good, or empty where none took it.
        provider: String,
    },
}

/// What became of a message that was put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deferred {
    /// The outbox will publish it again after the delay.
    Scheduled,
    /// Its outbox event has not been recorded as published yet, so it cannot be scheduled: keep the delivery.
    NotYet,
}

#[derive(FromQueryResult)]
struct Candidate {
    id: i64,
    message_identifier: String,
    recipient: String,
    status: String,
    age_millis: i64,
    lease_over_millis: Option<i64>,
}

impl Database {
    /// Takes recipients of several messages under leases, in one transaction. Answers come in order.
    pub async fn begin_sending(&self, requests: &[BeginRequest], lease: Duration) -> Result<Vec<Begin>, Error> {
        transaction!(self, Query::BeginSending, |tx| begin(tx, requests, lease)).await
    }

    /// Records outcomes; what failed is refunded in the same transaction. Answers in order whether each was
    /// recorded: `false` means that our lease had run out and somebody else decides.
    pub async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, Error> {
        let (recorded, refunded) = transaction!(self, Query::Settle, |tx| settle(tx, settlements)).await?;
        credits::count(LedgerKind::Corrective, refunded);
        Ok(recorded)
    }

    /// Puts off recipients whose outcome is not known: they stay `sending`, without a lease, and the message is
    /// published again after `delay`.
    pub async fn defer(
        &self,
        message_id: &MessageId,
        recipients: &[ClaimedRecipient],
        delay: Duration,
    ) -> Result<Deferred, Error> {
        transaction!(self, Query::Defer, |tx| defer(tx, message_id, recipients, delay)).await
    }
}

async fn begin(tx: &Tx, requests: &[BeginRequest], lease: Duration) -> Result<Vec<Begin>, StepError> {
    let mut candidates = lock_candidates(tx, requests).await?;
    let token: Arc<str> = Uuid::now_v7().to_string().into();
    let mut begins = Vec::with_capacity(requests.len());
    let mut taken = Vec::new();
    for request in requests {
        let mut begin = Begin::default();
        for recipient in &request.recipients {
            match candidates.get_mut(&(request.message_id.as_str().to_owned(), recipient.as_str().to_owned())) {
                None => begin.unknown += 1,
                Some(candidate) => match candidate.judge() {
                    Judgement::Finished => begin.finished += 1,
                    Judgement::Busy(left) => begin.busy = begin.busy.max(Some(left)),
                    Judgement::Free { resumed } => {
                        begin.claimed.push(candidate.claim(recipient, resumed, &token));
                        taken.push(candidate.id);
                        // The same message may come twice in one batch; the second finds it leased.
                        candidate.lease(lease);
                    }
                },
            }
        }
        begins.push(begin);
    }
    if !taken.is_empty() {
        Entity::update_many()
            .col_expr(Column::Status, Expr::value(MessageStatus::Sending.as_str()))
            .col_expr(Column::ClaimedBy, Expr::value(&*token))
            .col_expr(Column::ClaimedUntil, tx.dialect().after(lease))
            .col_expr(Column::UpdatedAt, tx.dialect().now())
            .filter(Column::Id.is_in(padded(taken)))
            .exec(tx)
            .await?;
    }
    Ok(begins)
}

async fn lock_candidates(
    tx: &Tx,
    requests: &[BeginRequest],
) -> Result<HashMap<(String, String), Candidate>, StepError> {
    let pairs = requests.iter().flat_map(|request| request.recipients.iter().map(move |to| (&request.message_id, to)));
    // One term a recipient, each a lookup in the unique index; MariaDB does not optimise lists of pairs.
    let wanted = padded(pairs).into_iter().fold(Condition::any(), |any, (message_id, recipient)| {
        any.add(
            Condition::all()
                .add(Column::MessageIdentifier.eq(message_id.as_str()))
                .add(Column::Recipient.eq(recipient.as_str())),
        )
    });
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::MessageIdentifier, Column::Recipient, Column::Status])
        .expr_as(tx.dialect().millis_since(Expr::col(Column::CreatedAt)), "age_millis")
        .expr_as(tx.dialect().millis_since(Expr::col(Column::ClaimedUntil)), "lease_over_millis")
        .filter(wanted)
        .lock_exclusive()
        .into_model::<Candidate>()
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| ((row.message_identifier.clone(), row.recipient.clone()), row)).collect())
}

enum Judgement {
    Free { resumed: bool },
    Busy(Duration),
    Finished,
}

impl Candidate {
    fn judge(&self) -> Judgement {
        match MessageStatus::parse(&self.status.to_ascii_lowercase()) {
            Ok(MessageStatus::Done | MessageStatus::Failed) => Judgement::Finished,
            Ok(MessageStatus::Pending) => Judgement::Free { resumed: false },
            Ok(MessageStatus::Sending) => match self.lease_over_millis {
                Some(over) if over < 0 => Judgement::Busy(Duration::from_millis(over.unsigned_abs())),
                _ => Judgement::Free { resumed: true },
            },
            Err(error) => {
                tracing::error!(row = self.id, %error, "a row of message_status is in no known state; it is left alone");
                Judgement::Finished
            }
        }
    }

    fn claim(&self, recipient: &Recipient, resumed: bool, token: &Arc<str>) -> ClaimedRecipient {
        ClaimedRecipient {
            recipient: recipient.clone(),
            resumed,
            age: Duration::from_millis(u64::try_from(self.age_millis).unwrap_or(0)),
            claim: Claim { row: self.id, token: Arc::clone(token) },
        }
    }

    fn lease(&mut self, lease: Duration) {
        MessageStatus::Sending.as_str().clone_into(&mut self.status);
        self.lease_over_millis = Some(-i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
    }
}

/// Whether each was recorded, and the credits given back for those that failed.
async fn settle(tx: &Tx, settlements: &[Settlement]) -> Result<(Vec<bool>, i64), StepError> {
    let claims: Vec<_> = settlements.iter().map(|settlement| &settlement.claim).collect();
    let rows = lock_claimed(tx, &claims).await?;
    let mut done: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut failed: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut recorded = Vec::with_capacity(settlements.len());
    for Settlement { claim, outcome } in settlements {
        let ours = rows.contains_key(&claim.row);
        recorded.push(ours);
        if ours {
            match outcome {
                Outcome::Done { provider } => done.entry(provider).or_default().push(claim.row),
                Outcome::Failed { provider } => failed.entry(provider).or_default().push(claim.row),
            }
        }
    }
    for (status, by_provider) in [(MessageStatus::Done, &done), (MessageStatus::Failed, &failed)] {
        for (provider, ids) in by_provider {
            Entity::update_many()
                .col_expr(Column::Status, Expr::value(status.as_str()))
                .col_expr(Column::Provider, Expr::value(*provider))
                .col_expr(Column::ClaimedBy, null_text())
                .col_expr(Column::ClaimedUntil, null_time())
                .col_expr(Column::UpdatedAt, tx.dialect().now())
                .filter(Column::Id.is_in(padded(ids.iter().copied())))
                .exec(tx)
                .await?;
        }
    }
    let failed: Vec<_> = failed.values().flatten().filter_map(|id| rows.get(id)).collect();
    let refunded = refund(tx, &failed).await?;
    Ok((recorded, refunded))
}

/// Locks those of the claimed rows that are still under the very claim, by primary key and in its order.
async fn lock_claimed(tx: &Tx, claims: &[&Claim]) -> Result<HashMap<i64, Model>, StepError> {
    let tokens: HashMap<i64, &str> = claims.iter().map(|claim| (claim.row, &*claim.token)).collect();
    let rows = Entity::find()
        .filter(Column::Id.is_in(padded(tokens.keys().copied())))
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    let ours = |row: &Model| {
        let is_open = MessageStatus::parse(&row.status.to_ascii_lowercase())
            .is_ok_and(|status| status.may_become(MessageStatus::Done));
        is_open && row.claimed_by.as_deref() == tokens.get(&row.id).copied()
    };
    Ok(rows.into_iter().filter(ours).map(|row| (row.id, row)).collect())
}

async fn defer(
    tx: &Tx,
    message_id: &MessageId,
    recipients: &[ClaimedRecipient],
    delay: Duration,
) -> Result<Deferred, StepError> {
    let claims: Vec<_> = recipients.iter().map(|recipient| &recipient.claim).collect();
    let ours = lock_claimed(tx, &claims).await?;
    if !ours.is_empty() {
        Entity::update_many()
            .col_expr(Column::ClaimedBy, null_text())
            .col_expr(Column::ClaimedUntil, null_time())
            .col_expr(Column::UpdatedAt, tx.dialect().now())
            .filter(Column::Id.is_in(padded(ours.keys().copied())))
            .exec(tx)
            .await?;
    }
    schedule(tx, message_id, delay).await
}

/// Has the message's event published again after `delay`.
async fn schedule(tx: &Tx, message_id: &MessageId, delay: Duration) -> Result<Deferred, StepError> {
    // An event that somebody holds is being published, and not recorded yet: nobody waits for that.
    let event: Option<(i64, String)> = outbox_event::Entity::find()
        .select_only()
        .columns([Outbox::Id, Outbox::Status])
        .filter(Outbox::AggregateId.eq(message_id.as_str()))
        .filter(Outbox::EventType.eq(EventKind::Send.as_str()))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .one(tx)
        .await?;
    let Some((id, status)) = event else { return Ok(Deferred::NotYet) };
    match OutboxStatus::parse(&status) {
        Some(OutboxStatus::Processed | OutboxStatus::Failed) => {
            outbox_event::Entity::update_many()
                .col_expr(Outbox::Status, Expr::value(OutboxStatus::Pending.as_str()))
                .col_expr(Outbox::NextRunAt, tx.dialect().after(delay))
                .col_expr(Outbox::UpdatedAt, tx.dialect().now())
                .filter(Outbox::Id.eq(id))
                .exec(tx)
                .await?;
            Ok(Deferred::Scheduled)
        }
        // Another part of this message, or an earlier try of ours, has scheduled it already.
        Some(OutboxStatus::Pending) => Ok(Deferred::Scheduled),
        Some(OutboxStatus::Processing) | None => Ok(Deferred::NotYet),
    }
}
