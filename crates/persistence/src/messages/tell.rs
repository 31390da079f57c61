//! Telling endpoints of what operators accepted, or may have accepted.

use domain::CallbackType;
use sea_orm::{EntityTrait, QueryFilter, QuerySelect};

use super::{
    delivery::{Outcome, Settlement},
    these,
};
use crate::{
    callbacks::{Change, emit},
    engine::{StepError, Tx},
    entity::message_status::{Column, Entity},
    watched::Watched,
};

/// Tells of those that were recorded as done. Of customers without endpoints nothing is asked.
pub(super) async fn tell_done(
    tx: &Tx,
    watched: &Watched,
    settlements: &[&Settlement],
    recorded: &[bool],
) -> Result<(), StepError> {
    let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Done { .. });
    tell(tx, watched, settlements, recorded, is_done, CallbackType::Done).await?;
    let is_never_known = |outcome: &Outcome| *outcome == Outcome::NeverKnown;
    tell(tx, watched, settlements, recorded, is_never_known, CallbackType::DeliveryUnknown).await
}

async fn tell(
    tx: &Tx,
    watched: &Watched,
    settlements: &[&Settlement],
    recorded: &[bool],
    is_wanted: impl Fn(&Outcome) -> bool,
    kind: CallbackType,
) -> Result<(), StepError> {
    let is_told = |(settlement, is_recorded): &(&&Settlement, &bool)| {
        **is_recorded && is_wanted(&settlement.outcome) && watched.has(settlement.claimed.customer.get())
    };
    let told: Vec<_> = settlements.iter().zip(recorded).filter(is_told).collect();
    if told.is_empty() {
        return Ok(());
    }
    let rows: Vec<(i64, i64)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::UserId])
        .filter(these(told.iter().map(|(settlement, _)| settlement.claimed.pair())))
        .into_tuple()
        .all(tx)
        .await?;
    emit(tx, watched, rows.into_iter().map(|(row, customer)| Change { row, customer, kind })).await
}
