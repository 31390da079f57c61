//! Taking recipients under a lease: rows locked, judged, and marked as ours.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{MessageStatus, Recipient};
use sea_orm::{ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::delivery::{Begin, BeginRequest, Claim, ClaimedRecipient};
use crate::{
    engine::{StepError, Tx, statements::padded},
    entity::message_status::{Column, Entity},
};

#[derive(FromQueryResult)]
struct Candidate {
    id: i64,
    message_identifier: String,
    recipient: String,
    status: String,
    age_millis: i64,
    lease_over_millis: Option<i64>,
}

/// Takes what is free of these. Answers come in order.
pub(super) async fn begin(tx: &Tx, requests: &[&BeginRequest], lease: Duration) -> Result<Vec<Begin>, StepError> {
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
    requests: &[&BeginRequest],
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
