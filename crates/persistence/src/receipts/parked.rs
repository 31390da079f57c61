//! Receipts whose message is not known yet.

use chrono::NaiveDateTime;
use domain::{IdMatch, ReceiptState, provider_message_id::other_digits};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::{
    engine::{StepError, Tx, statements::padded},
    entity::receipt::{Column, Entity, Model},
};

/// Receipts that one look finds at most: an operator that reports everything under one id is not worked off at once.
const MOST: u64 = 1_000;

/// A receipt as it waits.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    pub(super) id: i64,
    pub(super) provider_id: String,
    pub(super) recipient: Option<String>,
    pub(super) state: ReceiptState,
    pub(super) error_code: Option<String>,
    pub(super) part: Option<i16>,
    pub(super) received_at: NaiveDateTime,
    pub(super) exact: bool,
}

impl Parked {
    /// The receipt of a row; `None` where only a newer release knows its state.
    pub(super) fn read(row: Model) -> Option<Self> {
        let state = ReceiptState::parse(&row.state).ok()?;
        Some(Self {
            id: row.id,
            provider_id: row.provider_id,
            recipient: row.recipient,
            state,
            error_code: row.error_code,
            part: row.part,
            received_at: row.received_at,
            exact: row.exact,
        })
    }

    /// The same number in the other digits that its operator may have answered with.
    pub(super) fn other_digits(&self) -> Vec<(IdMatch, String)> {
        if self.exact { Vec::new() } else { other_digits(&self.provider_id) }
    }
}

/// Receipts of an operator that wait for one of these ids, which were recorded in this transaction. They are not locked: the message
/// comes first.
pub(crate) async fn waiting_for(tx: &Tx, operator: &str, ids: &[&str]) -> Result<Vec<Parked>, StepError> {
    let named = ids.iter().flat_map(|id| {
        let others = other_digits(id).into_iter().map(|(_, other)| other);
        others.chain([(*id).to_owned()])
    });
    let rows: Vec<Model> = Entity::find()
        .filter(Column::Operator.eq(operator))
        .filter(Column::ProviderId.is_in(padded(named)))
        .filter(Column::MatchedRow.is_null())
        .limit(MOST)
        .all(tx)
        .await?;
    Ok(rows.into_iter().filter_map(Parked::read).collect())
}
