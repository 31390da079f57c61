//! Joining receipts with the messages that they are about, and writing what they tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::NaiveDateTime;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QuerySelect, Value,
    sea_query::{Expr, LockType},
};

use super::{
    apply::{self, Effect, Matched, Message},
    candidates,
    meters::Tally,
    parked::Parked,
    parts,
};
use crate::{
    ReceiptPolicy,
    callbacks::{Change, emit},
    engine::{
        StepError, Tx,
        sql::Sql,
        statements::{null_time, padded},
    },
    entity::{message_status, operator_message, receipt},
    watched::Watched,
};

/// How long the other parts of a message are waited for once one was delivered: some operators report of one part alone.
const REST_OF_PARTS: Duration = Duration::from_mins(10);

/// Joins those of these receipts of one operator whose messages are known, and tells what they came to.
pub(crate) async fn join(
    tx: &Tx,
    operator: &str,
    parked: &[Parked],
    policy: &ReceiptPolicy,
    watched: &Watched,
) -> Result<Tally, StepError> {
    let mut tally = Tally::default();
    if parked.is_empty() {
        return Ok(tally);
    }
    let found = candidates::find(tx, operator, parked).await?;
    let known = parked.iter().zip(found).filter_map(|(receipt, found)| Some((receipt, found?)));
    let mut matched: Vec<_> =
        known.map(|(receipt, found)| Matched { receipt, found, effect: Effect::default() }).collect();
    if matched.is_empty() {
        return Ok(tally);
    }
    let mut messages = lock_messages(tx, matched.iter().map(|matched| matched.found.message_row)).await?;
    let still_parked = lock_parked(tx, matched.iter().map(|matched| matched.receipt.id)).await?;
    matched.retain(|matched| {
        still_parked.contains(&matched.receipt.id) && messages.contains_key(&matched.found.message_row)
    });
    parts::tell_apart(tx, &mut messages, &mut matched).await?;
    apply::hear_all(&mut messages, &mut matched);
    for matched in &matched {
        let message = &messages[&matched.found.message_row];
        tally.count(operator, matched, message);
    }
    note_matches(tx, &matched).await?;
    tally.owed = write(tx, &messages, policy, watched).await?;
    Ok(tally)
}

/// Locks messages in the order of their rows, and reads what operators call them: after that nobody else changes either.
pub(super) async fn lock_messages(
    tx: &Tx,
    rows: impl IntoIterator<Item = i64>,
) -> Result<BTreeMap<i64, Message>, StepError> {
    let rows: BTreeSet<i64> = rows.into_iter().collect();
    let locked = message_status::Entity::find()
        .filter(message_status::Column::Id.is_in(padded(rows.iter().copied())))
        .lock(LockType::Update)
        .all(tx)
        .await?;
    let called = operator_message::Entity::find()
        .filter(operator_message::Column::MessageRow.is_in(padded(rows)))
        .all(tx)
        .await?;
    Ok(apply::messages(locked, called))
}

/// Those of these that nobody else has joined meanwhile.
async fn lock_parked(tx: &Tx, ids: impl IntoIterator<Item = i64>) -> Result<BTreeSet<i64>, StepError> {
    use receipt::{Column, Entity};
    let ids: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(padded(ids)))
        .filter(Column::MatchedRow.is_null())
        .lock(LockType::Update)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Writes down to which message each receipt belongs.
async fn note_matches(tx: &Tx, matched: &[Matched<'_>]) -> Result<(), StepError> {
    if matched.is_empty() {
        return Ok(());
    }
    let pairs = matched.iter().map(|matched| [matched.receipt.id.into(), matched.found.message_row.into()]);
    let ids = matched.iter().map(|matched| matched.receipt.id.into());
    Sql::new("UPDATE receipts SET matched_row = CASE id ", [])
        .each("WHEN ? THEN ?", " ", pairs)
        .and(" ELSE matched_row END WHERE id IN ", [])
        .list(ids)
        .execute(tx)
        .await?;
    Ok(())
}

/// What a message is set to; those that are set to the same are written together.
type End = (Option<String>, Option<String>, Option<NaiveDateTime>);

/// Writes what changed, and gives the messages whose end gives back what they cost.
pub(super) async fn write(
    tx: &Tx,
    messages: &BTreeMap<i64, Message>,
    policy: &ReceiptPolicy,
    watched: &Watched,
) -> Result<Vec<message_status::Model>, StepError> {
    let mut parts: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut ends: BTreeMap<End, Vec<i64>> = BTreeMap::new();
    for (id, message) in messages {
        for (part, state) in message.changed_parts() {
            parts.entry(state.as_str()).or_default().push(part);
        }
        if message.is_changed {
            let row = &message.row;
            let end = (row.delivery_status.clone(), row.error_code.clone(), row.delivered_at);
            ends.entry(end).or_default().push(*id);
        }
    }
    for (state, ids) in parts {
        let ids = ids.into_iter().map(Into::into);
        let changed = Sql::new("UPDATE operator_messages SET state = ? WHERE id IN ", [state.into()]);
        changed.list(ids).execute(tx).await?;
    }
    for ((status, error_code, delivered_at), ids) in ends {
        let now = tx.dialect().now_text();
        let delivered_at = delivered_at.map(|time| tx.dialect().time(time));
        let values = [status.into(), error_code.into(), delivered_at.unwrap_or(Value::String(None))];
        let text = format!(
            "UPDATE message_status SET delivery_status = ?, error_code = ?, delivered_at = ?, updated_at = {now} WHERE id IN "
        );
        Sql::new(text, values).list(ids.into_iter().map(Into::into)).execute(tx).await?;
    }
    set_due(tx, messages).await?;
    emit(tx, watched, messages.values().filter_map(told)).await?;
    let covered = |message: &&Message| {
        message.is_changed && message.delivery_status().is_some_and(|status| policy.refund.covers(status))
    };
    Ok(messages.values().filter(covered).map(|message| message.row.clone()).collect())
}

/// What there is to tell of a message.
fn told(message: &Message) -> Option<Change> {
    let status = message.delivery_status().filter(|_| message.is_changed)?;
    Some(Change { row: message.row.id, customer: message.row.user_id, kind: status.into() })
}

/// What has ended is waited for no longer, and the rest of what was delivered in part not for long.
async fn set_due(tx: &Tx, messages: &BTreeMap<i64, Message>) -> Result<(), StepError> {
    use operator_message::{Column, Entity};
    let rows = |is_wanted: fn(&Message) -> bool| -> Vec<i64> {
        messages.iter().filter(|(_, message)| is_wanted(message)).map(|(id, _)| *id).collect()
    };
    let ended = rows(|message| message.has_ended);
    if !ended.is_empty() {
        Entity::update_many()
            .col_expr(Column::ReceiptDueAt, null_time())
            .filter(Column::MessageRow.is_in(padded(ended)))
            .exec(tx)
            .await?;
    }
    let in_part = rows(Message::waits_for_the_rest);
    if !in_part.is_empty() {
        let soon = || tx.dialect().after(REST_OF_PARTS);
        Entity::update_many()
            .col_expr(Column::ReceiptDueAt, soon())
            .filter(Column::MessageRow.is_in(padded(in_part)))
            .filter(
                Condition::any().add(Column::ReceiptDueAt.is_null()).add(Expr::col(Column::ReceiptDueAt).gt(soon())),
            )
            .exec(tx)
            .await?;
    }
    Ok(())
}
