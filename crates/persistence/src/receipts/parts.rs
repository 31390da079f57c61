//! Receipts of parts: an operator that gave one id for a message of several parts may still tell of each by its number.

use std::collections::BTreeMap;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::apply::{Matched, Message};
use crate::{
    engine::{StepError, Tx, sql::insert, statements::padded},
    entity::operator_message::{ActiveModel, Column, Entity, Model},
};

/// Leads each receipt that names a part to the row of that part. Where a message has one row for all of its parts it gets one for each now.
/// The messages are locked.
pub(super) async fn tell_apart(
    tx: &Tx,
    messages: &mut BTreeMap<i64, Message>,
    matched: &mut [Matched<'_>],
) -> Result<(), StepError> {
    let mut whole: BTreeMap<i64, i16> = BTreeMap::new();
    for Matched { receipt, found, .. } in matched.iter() {
        let message = &messages[&found.message_row];
        let segments = message.row.segments.unwrap_or(1);
        let names_one = receipt.part.is_some_and(|part| (1..=segments).contains(&part));
        if names_one && segments > 1 && message.is_whole(found.called) {
            whole.insert(found.called, segments);
        }
    }
    if !whole.is_empty() {
        split(tx, &whole, messages).await?;
    }
    for Matched { receipt, found, .. } in matched {
        let part = receipt.part.and_then(|part| messages[&found.message_row].part_of(found.called, part));
        found.called = part.unwrap_or(found.called);
    }
    Ok(())
}

/// Gives these rows, each of a message of so many parts, a row for each part: what was told before was told of the first one.
async fn split(tx: &Tx, whole: &BTreeMap<i64, i16>, messages: &mut BTreeMap<i64, Message>) -> Result<(), StepError> {
    let rows: Vec<Model> = Entity::find().filter(Column::Id.is_in(padded(whole.keys().copied()))).all(tx).await?;
    let others = rows.iter().flat_map(|row| (2..=whole[&row.id]).map(|part| part_of(row, part, whole[&row.id])));
    insert(tx, others.collect()).await?;
    let mut by_parts: BTreeMap<i16, Vec<i64>> = BTreeMap::new();
    for (row, parts) in whole {
        by_parts.entry(*parts).or_default().push(*row);
    }
    for (parts, rows) in by_parts {
        let change = Entity::update_many().col_expr(Column::Parts, Expr::value(parts));
        change.filter(Column::Id.is_in(padded(rows))).exec(tx).await?;
    }
    let split: Vec<i64> = rows.iter().map(|row| row.message_row).collect();
    let mut called: BTreeMap<i64, Vec<Model>> = BTreeMap::new();
    for row in Entity::find().filter(Column::MessageRow.is_in(padded(split))).all(tx).await? {
        called.entry(row.message_row).or_default().push(row);
    }
    for (message_row, called) in called {
        messages.entry(message_row).and_modify(|message| *message = Message::new(message.row.clone(), &called));
    }
    Ok(())
}

fn part_of(whole: &Model, part: i16, parts: i16) -> ActiveModel {
    ActiveModel {
        operator: Set(whole.operator.clone()),
        provider_id: Set(whole.provider_id.clone()),
        given_id: Set(whole.given_id.clone()),
        message_row: Set(whole.message_row),
        part: Set(part),
        parts: Set(parts),
        created_at: Set(whole.created_at),
        ..Default::default()
    }
}
