//! Taking recipients under a lease: what waits is marked as ours in one statement; where some did not wait, rows are locked and judged.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::NaiveDateTime;
use domain::{Expiry, MessageId, MessageStatus, Recipient};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Value, sea_query::Expr};
use uuid::Uuid;

use super::{
    delivery::{Begin, BeginRequest, ClaimedRecipient, Resumed},
    names, these,
};
use crate::{
    engine::{StepError, Tx, sql::Sql, statements::padded},
    entity::message_status::{Column, Entity, Model},
};

#[derive(FromQueryResult)]
struct Candidate {
    id: i64,
    message_identifier: String,
    recipient: String,
    status: String,
    claimed_by: Option<String>,
    age_millis: i64,
    lease_over_millis: Option<i64>,
    now: NaiveDateTime,
}

/// Takes what is free of these, and tells what was not sent in time: that is to fail. Answers come in order.
pub(super) async fn begin(
    tx: &Tx,
    requests: &[&BeginRequest],
    lease: Duration,
) -> Result<(Vec<Begin>, Vec<Model>), StepError> {
    let token: Arc<str> = Uuid::now_v7().to_string().into();
    let pairs: Vec<_> = requests.iter().flat_map(|request| request.pairs()).collect();
    if pairs.is_empty() {
        return Ok((requests.iter().map(|_| Begin::default()).collect(), Vec::new()));
    }
    let taking = taking(tx, &token, lease).and(" WHERE status = ? AND ", [MessageStatus::Pending.as_str().into()]);
    let taken = free_of(tx, taking, requests).execute(tx).await?;
    if taken == pairs.len() as u64 {
        let all_of = |request: &&BeginRequest| Begin {
            claimed: request.recipients.iter().map(|recipient| claimed(request, recipient, &token, None)).collect(),
            ..Begin::default()
        };
        return Ok((requests.iter().map(all_of).collect(), Vec::new()));
    }
    judge_each(tx, requests, &pairs, &token, lease).await
}

/// Goes on with a condition for each recipient, and that its time is not over where it has one.
fn free_of(tx: &Tx, sql: Sql, requests: &[&BeginRequest]) -> Sql {
    const PAIR: &str = "(message_identifier = ? AND recipient = ?)";
    let dialect = tx.dialect();
    let of = |wanted: fn(Option<Expiry>) -> bool| {
        let wanted = requests.iter().filter(move |request| wanted(request.expiry));
        wanted.flat_map(|request| request.pairs().map(|pair| (pair, request.expiry))).collect::<Vec<_>>()
    };
    let plain = of(|expiry| expiry.is_none());
    if plain.len() == requests.iter().map(|request| request.recipients.len()).sum::<usize>() {
        return sql.any(PAIR, plain.into_iter().map(|(pair, _)| names(pair)));
    }
    let [after, at] = [
        format!("(message_identifier = ? AND recipient = ? AND created_at > {})", dialect.after_text()),
        format!("(message_identifier = ? AND recipient = ? AND {} < ?)", dialect.now_text()),
    ];
    let until = |(pair, expiry): ((&MessageId, &Recipient), Option<Expiry>)| {
        let [message_id, recipient] = names(pair);
        let end = match expiry {
            Some(Expiry::After(validity)) => dialect.ago(validity),
            Some(Expiry::At(time)) => dialect.time(time.naive_utc()),
            None => Value::Bool(None),
        };
        [message_id, recipient, end]
    };
    let with_end = [
        (&after, of(|expiry| matches!(expiry, Some(Expiry::After(_))))),
        (&at, of(|expiry| matches!(expiry, Some(Expiry::At(_))))),
    ];
    let (mut sql, mut between) = (sql.and("(", []), "");
    if !plain.is_empty() {
        sql = sql.each(PAIR, " OR ", plain.into_iter().map(|(pair, _)| names(pair)));
        between = " OR ";
    }
    for (condition, pairs) in with_end.into_iter().filter(|(_, pairs)| !pairs.is_empty()) {
        sql = sql.and(between, []).each(condition, " OR ", pairs.into_iter().map(until));
        between = " OR ";
    }
    sql.and(")", [])
}

/// Tells of each what may be done with it, and takes those that somebody had before and left.
async fn judge_each(
    tx: &Tx,
    requests: &[&BeginRequest],
    pairs: &[(&MessageId, &Recipient)],
    token: &Arc<str>,
    lease: Duration,
) -> Result<(Vec<Begin>, Vec<Model>), StepError> {
    let mut candidates = lock_candidates(tx, pairs).await?;
    let mut begins = Vec::with_capacity(requests.len());
    let (mut resumed, mut expired) = (Vec::new(), Vec::new());
    for request in requests {
        let mut begin = Begin::default();
        for recipient in &request.recipients {
            let key = (request.message_id.as_str().to_owned(), recipient.as_str().to_owned());
            let Some(candidate) = candidates.get_mut(&key) else {
                begin.unknown += 1;
                continue;
            };
            match candidate.judge(token, request.expiry) {
                Judgement::Finished => begin.finished += 1,
                Judgement::Busy(left) => begin.busy = begin.busy.max(Some(left)),
                Judgement::Ours => {
                    begin.claimed.push(claimed(request, recipient, token, None));
                    candidate.give_out(lease);
                }
                Judgement::Free => {
                    begin.claimed.push(claimed(request, recipient, token, None));
                    resumed.push(candidate.id);
                    candidate.give_out(lease);
                }
                Judgement::Left => {
                    begin.claimed.push(claimed(request, recipient, token, Some(candidate.resumed())));
                    resumed.push(candidate.id);
                    candidate.give_out(lease);
                }
                Judgement::Expired => {
                    begin.expired += 1;
                    expired.push(candidate.id);
                    candidate.give_out(lease);
                }
            }
        }
        begins.push(begin);
    }
    if !resumed.is_empty() {
        let resumed = resumed.into_iter().map(Value::from);
        taking(tx, token, lease).and(" WHERE id IN ", []).list(resumed).execute(tx).await?;
    }
    // Locked already; what a refund needs is read of few.
    let expired = if expired.is_empty() {
        Vec::new()
    } else {
        Entity::find().filter(Column::Id.is_in(padded(expired))).all(tx).await?
    };
    Ok((begins, expired))
}

/// Marks rows as sending, by us, for the time of the lease.
fn taking(tx: &Tx, token: &str, lease: Duration) -> Sql {
    let dialect = tx.dialect();
    let (now, until) = (dialect.now_text(), dialect.after_text());
    Sql::new(
        format!("UPDATE message_status SET status = ?, claimed_by = ?, claimed_until = {until}, updated_at = {now}"),
        [MessageStatus::Sending.as_str().into(), token.into(), dialect.delay(lease)],
    )
}

fn claimed(
    request: &BeginRequest,
    recipient: &Recipient,
    token: &Arc<str>,
    resumed: Option<Resumed>,
) -> ClaimedRecipient {
    ClaimedRecipient {
        recipient: recipient.clone(),
        resumed,
        customer: request.customer,
        message_id: request.message_id.clone(),
        token: Arc::clone(token),
    }
}

async fn lock_candidates(
    tx: &Tx,
    pairs: &[(&MessageId, &Recipient)],
) -> Result<HashMap<(String, String), Candidate>, StepError> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::MessageIdentifier, Column::Recipient, Column::Status, Column::ClaimedBy])
        .expr_as(tx.dialect().millis_since(Expr::col(Column::CreatedAt)), "age_millis")
        .expr_as(tx.dialect().millis_since(Expr::col(Column::ClaimedUntil)), "lease_over_millis")
        .expr_as(tx.dialect().now(), "now")
        .filter(these(pairs.iter().copied()))
        .lock_exclusive()
        .into_model::<Candidate>()
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| ((row.message_identifier.clone(), row.recipient.clone()), row)).collect())
}

enum Judgement {
    /// It waited, and is ours now.
    Ours,
    /// It waits: no operator can have it.
    Free,
    /// The same, and its time is over.
    Expired,
    /// Somebody had it and left no outcome.
    Left,
    Busy(Duration),
    Finished,
}

impl Candidate {
    fn age(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.age_millis).unwrap_or(0))
    }

    fn resumed(&self) -> Resumed {
        Resumed { age: self.age(), now: self.now.and_utc() }
    }

    fn judge(&self, token: &str, expiry: Option<Expiry>) -> Judgement {
        let is_over = || expiry.is_some_and(|expiry| expiry.is_over(self.now.and_utc(), self.age()));
        match MessageStatus::parse(&self.status.to_ascii_lowercase()) {
            Ok(MessageStatus::Done | MessageStatus::Failed) => Judgement::Finished,
            Ok(MessageStatus::Sending) if self.claimed_by.as_deref() == Some(token) => Judgement::Ours,
            Ok(MessageStatus::Pending) if is_over() => Judgement::Expired,
            Ok(MessageStatus::Pending) => Judgement::Free,
            Ok(MessageStatus::Sending) => match self.lease_over_millis {
                Some(over) if over < 0 => Judgement::Busy(Duration::from_millis(over.unsigned_abs())),
                _ => Judgement::Left,
            },
            Err(error) => {
                tracing::error!(row = self.id, %error, "a row of message_status is in no known state; it is left alone");
                Judgement::Finished
            }
        }
    }

    /// The same message may come twice in one batch; the second finds it leased.
    fn give_out(&mut self, lease: Duration) {
        MessageStatus::Sending.as_str().clone_into(&mut self.status);
        self.claimed_by = None;
        self.lease_over_millis = Some(-i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
    }
}
