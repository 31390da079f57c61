//! Telling endpoints of what operators accepted, or may have accepted.

use domain::CallbackType;

use super::{
    delivery::{Outcome, Settlement},
    settle::Written,
};
use crate::{
    callbacks::{Change, emit},
    engine::{StepError, Tx},
    watched::Watched,
};

/// Tells of those that were recorded as done. Of customers without endpoints nothing is asked.
pub(super) async fn tell_done(
    tx: &Tx,
    watched: &Watched,
    settlements: &[&Settlement],
    recorded: &[Written],
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
    recorded: &[Written],
    is_wanted: impl Fn(&Outcome) -> bool,
    kind: CallbackType,
) -> Result<(), StepError> {
    let changes = settlements.iter().zip(recorded).filter(|(settlement, _)| is_wanted(&settlement.outcome));
    let changes = changes.filter_map(|(settlement, recorded)| {
        let customer = settlement.claimed.customer.get();
        recorded.row.map(|row| Change { row, customer, kind })
    });
    emit(tx, watched, changes.collect::<Vec<_>>()).await
}
