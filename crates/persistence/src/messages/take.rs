//! Taking recipients under a lease: what waits is marked as ours in one statement; where some did not wait, rows are locked and judged.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{MessageId, MessageStatus, Recipient};
use sea_orm::{EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Value, sea_query::Expr};
use uuid::Uuid;

use super::{
    delivery::{Begin, BeginRequest, ClaimedRecipient},
    names, these,
};
use crate::{
    engine::{StepError, Tx, sql::Sql},
    entity::message_status::{Column, Entity},
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
}

/// Takes what is free of these. Answers come in order.
pub(super) async fn begin(tx: &Tx, requests: &[&BeginRequest], lease: Duration) -> Result<Vec<Begin>, StepError> {
    let token: Arc<str> = Uuid::now_v7().to_string().into();
    let pairs: Vec<_> = requests.iter().flat_map(|request| request.pairs()).collect();
    if pairs.is_empty() {
        return Ok(requests.iter().map(|_| Begin::default()).collect());
    }
    let taken = taking(tx, &token, lease)
        .and(" WHERE status = ? AND ", [MessageStatus::Pending.as_str().into()])
        .any("(message_identifier = ? AND recipient = ?)", pairs.iter().copied().map(names))
        .execute(tx)
        .await?;
    if taken == pairs.len() as u64 {
        let all_of = |request: &&BeginRequest| Begin {
            claimed: request.recipients.iter().map(|recipient| claimed(request, recipient, &token, None)).collect(),
            ..Begin::default()
        };
        return Ok(requests.iter().map(all_of).collect());
    }
    judge_each(tx, requests, &pairs, &token, lease).await
}

/// Tells of each what may be done with it, and takes those that somebody had before and left.
async fn judge_each(
    tx: &Tx,
    requests: &[&BeginRequest],
    pairs: &[(&MessageId, &Recipient)],
    token: &Arc<str>,
    lease: Duration,
) -> Result<Vec<Begin>, StepError> {
    let mut candidates = lock_candidates(tx, pairs).await?;
    let mut begins = Vec::with_capacity(requests.len());
    let mut resumed = Vec::new();
    for request in requests {
        let mut begin = Begin::default();
        for recipient in &request.recipients {
            let key = (request.message_id.as_str().to_owned(), recipient.as_str().to_owned());
            let Some(candidate) = candidates.get_mut(&key) else {
                begin.unknown += 1;
                continue;
            };
            match candidate.judge(token) {
                Judgement::Finished => begin.finished += 1,
                Judgement::Busy(left) => begin.busy = begin.busy.max(Some(left)),
                Judgement::Ours => {
                    begin.claimed.push(claimed(request, recipient, token, None));
                    candidate.give_out(lease);
                }
                Judgement::Left => {
                    let age = Duration::from_millis(u64::try_from(candidate.age_millis).unwrap_or(0));
                    begin.claimed.push(claimed(request, recipient, token, Some(age)));
                    resumed.push(candidate.id);
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
    Ok(begins)
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
    resumed: Option<Duration>,
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
    /// Somebody had it and left no outcome.
    Left,
    Busy(Duration),
    Finished,
}

impl Candidate {
    fn judge(&self, token: &str) -> Judgement {
        match MessageStatus::parse(&self.status.to_ascii_lowercase()) {
            Ok(MessageStatus::Done | MessageStatus::Failed) => Judgement::Finished,
            Ok(MessageStatus::Sending) if self.claimed_by.as_deref() == Some(token) => Judgement::Ours,
            Ok(MessageStatus::Sending | MessageStatus::Pending) => match self.lease_over_millis {
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
