//! Answers of operators that came after their worker had stopped waiting for them.

use std::collections::BTreeMap;

use domain::{CallbackType, MessageId, MessageStatus, Recipient};

use super::{
    delivery::Called,
    operator_messages::{Accepted, keep_ids},
    settle::{Open, end},
    states::join_early,
};
use crate::{
    Database, Error, Query, ReceiptPolicy,
    callbacks::{Change, emit},
    engine::{StepError, Tx, transaction},
    entity::message_status::Model,
    receipts::Tally,
    watched::Watched,
};

/// Late answers of one transaction.
const TOGETHER: usize = 256;

/// An operator answered about a message after all.
#[derive(Debug, Clone)]
pub struct LateAnswer {
    /// The message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: Recipient,
    /// The operator's name.
    pub operator: String,
    /// What it said.
    pub said: Said,
}

/// What an operator says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It took it, and calls it this: one id, one for each part, or none.
    Accepted(Vec<Called>),
    /// It did not take it. Only for a message that no other operator can have, and that this one was sent but once.
    Refused,
}

impl LateAnswer {
    /// What names its row.
    fn pair(&self) -> (&MessageId, &Recipient) {
        (&self.message_id, &self.recipient)
    }

    fn becomes(&self) -> MessageStatus {
        match self.said {
            Said::Accepted(_) => MessageStatus::Done,
            Said::Refused => MessageStatus::Failed,
        }
    }
}

impl Database {
    /// Records what operators answered late, in one transaction for each 256 answers. Tells in order whether each was
    /// recorded.
    ///
    /// A recipient that is still `sending` becomes `done`, or `failed` and is refunded, as if its worker had settled it,
    /// whoever has a lease on it: what that one settles afterwards changes nothing. One that is `pending`, `done`,
    /// `failed` or not stored is left as it is; of two answers about one recipient the first counts.
    ///
    /// No money moves by an acceptance. Where one of its receipts came first, what the [`ReceiptPolicy`] gives back for
    /// that is given back, as in a settlement; by default that is nothing.
    ///
    /// # Errors
    /// As all operations. Of more than 256 answers the first may be recorded all the same: given again, they are not
    /// recorded twice.
    pub async fn settle_late(&self, answers: &[LateAnswer]) -> Result<Vec<bool>, Error> {
        let watched = self.watch_list().known();
        let mut recorded = Vec::with_capacity(answers.len());
        for answers in answers.chunks(TOGETHER) {
            let (some, tally) =
                transaction!(self, Query::SettleLate, |tx| settle(tx, answers, self.receipts(), &watched)).await?;
            tally.report();
            recorded.extend(some);
        }
        Ok(recorded)
    }
}

/// All of these messages are locked before anything else is, by one statement: whatever their order, two transactions
/// do not wait for each other in a circle.
async fn settle(
    tx: &Tx,
    answers: &[LateAnswer],
    policy: &ReceiptPolicy,
    watched: &Watched,
) -> Result<(Vec<bool>, Tally), StepError> {
    let mut open = Open::lock(tx, answers.iter().map(LateAnswer::pair)).await?;
    let rows: Vec<_> = answers.iter().map(|answer| open.take(answer.pair(), |_| true)).collect();
    let settled: Vec<_> = answers.iter().zip(&rows).filter_map(|(answer, row)| Some((answer, row.as_ref()?))).collect();
    record(tx, &settled).await?;
    let awaited = keep_ids(tx, settled.iter().filter_map(accepted).collect(), policy).await?;
    let of = |status| settled.iter().filter(move |(answer, _)| answer.becomes() == status).map(|(_, row)| *row);
    let (done, failed): (Vec<_>, Vec<_>) = (of(MessageStatus::Done).collect(), of(MessageStatus::Failed).collect());
    emit(tx, watched, Change::of_rows(&done, CallbackType::Done)).await?;
    emit(tx, watched, Change::of_rows(&failed, CallbackType::Failed)).await?;
    let mut tally = join_early(tx, &awaited, policy, watched).await?;
    tally.owe(failed.into_iter().cloned());
    tally.pay(tx).await?;
    Ok((rows.iter().map(Option::is_some).collect(), tally))
}

fn accepted<'a>((answer, row): &(&'a LateAnswer, &Model)) -> Option<Accepted<'a>> {
    match &answer.said {
        Said::Accepted(called) => Some(Accepted { message_row: row.id, operator: &answer.operator, called }),
        Said::Refused => None,
    }
}

/// Sets these to what they become by their operators, and ends their leases.
async fn record(tx: &Tx, settled: &[(&LateAnswer, &Model)]) -> Result<(), StepError> {
    for status in [MessageStatus::Done, MessageStatus::Failed] {
        let mut by_operator: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (answer, row) in settled.iter().filter(|(answer, _)| answer.becomes() == status) {
            by_operator.entry(&answer.operator).or_default().push(row.id);
        }
        for (operator, rows) in by_operator {
            end(tx, status, operator, &rows).await?;
        }
    }
    Ok(())
}
