//! Which messages an operator's id may name.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use domain::{DeliveryStatus, IdMatch, ReceiptState, ReportedNumber};
use sea_orm::FromQueryResult;

use super::parked::Parked;
use crate::engine::{StepError, Tx, sql::Sql};

/// Ids come again, for counters of operators start anew; so many of the newest that share one are looked at.
const NEWEST: u8 = 16;
/// Ids of one statement: SQLite takes 500 parts of a union.
const TOGETHER: usize = 256;

/// An operator's id of a message.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct Candidate {
    pub(super) id: i64,
    pub(super) provider_id: String,
    pub(super) message_row: i64,
    pub(super) part: i16,
    pub(super) recipient: String,
    created_at: NaiveDateTime,
    state: Option<String>,
}

impl Candidate {
    /// Whether a receipt may still tell its end.
    fn is_open(&self) -> bool {
        let told = self.state.as_deref().and_then(|state| ReceiptState::parse(state).ok()?.tells());
        told.is_none_or(|told| told == DeliveryStatus::Unknown)
    }
}

/// A receipt's message, and how it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The row of `operator_messages`.
    pub(super) called: i64,
    pub(super) message_row: i64,
    pub(super) how: IdMatch,
    /// When it was taken, where no receipt has told its end yet.
    pub(super) open_since: Option<NaiveDateTime>,
}

/// The messages of these receipts of one operator, each in its place: by the id as it is, and only where that names none by the same
/// number in other digits.
pub(super) async fn find(tx: &Tx, operator: &str, parked: &[Parked]) -> Result<Vec<Option<Found>>, StepError> {
    let ids = parked.iter().map(|receipt| receipt.provider_id.clone()).collect();
    let exact = newest(tx, operator, ids).await?;
    let mut found: Vec<_> = parked.iter().map(|receipt| choose(receipt, &exact, IdMatch::Same)).collect();
    let others: Vec<_> = parked.iter().map(Parked::other_digits).collect();
    let is_open = |found: &Option<Found>, others: &[_]| found.is_none() && !others.is_empty();
    let open = found.iter().zip(&others).filter(|(found, others)| is_open(found, others));
    let ids: Vec<_> = open.flat_map(|(_, others)| others.iter().map(|(_, id)| id.clone())).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let by_number = newest(tx, operator, ids).await?;
    for ((receipt, others), found) in parked.iter().zip(&others).zip(&mut found) {
        let by_other = |(how, id): &(IdMatch, String)| {
            let other = Parked { provider_id: id.clone(), ..receipt.clone() };
            choose(&other, &by_number, *how)
        };
        *found = found.or_else(|| others.iter().find_map(by_other));
    }
    Ok(found)
}

/// The newest with the receipt's id whose number may be the receipt's; of its parts the one that the receipt names.
fn choose(receipt: &Parked, candidates: &HashMap<String, Vec<Candidate>>, how: IdMatch) -> Option<Found> {
    let number = receipt.recipient.as_deref().and_then(|digits| ReportedNumber::parse(digits).ok());
    let may_be = |candidate: &&Candidate| number.as_ref().is_none_or(|number| number.may_be(&candidate.recipient));
    let fitting: Vec<_> = candidates.get(&receipt.provider_id)?.iter().filter(may_be).collect();
    let newest = fitting.first()?;
    let of_part =
        |candidate: &&&Candidate| candidate.message_row == newest.message_row && Some(candidate.part) == receipt.part;
    let chosen = fitting.iter().find(of_part).unwrap_or(newest);
    let open_since = chosen.is_open().then_some(chosen.created_at);
    Some(Found { called: chosen.id, message_row: chosen.message_row, how, open_since })
}

/// By id, the newest first.
async fn newest(tx: &Tx, operator: &str, mut ids: Vec<String>) -> Result<HashMap<String, Vec<Candidate>>, StepError> {
    // Each id by itself, for one that names a million messages must not be read as a whole.
    let part = format!(
        "SELECT * FROM (SELECT om.id, om.provider_id, om.message_row, om.part, om.created_at, om.state, ms.recipient FROM operator_messages om \
         JOIN message_status ms ON ms.id = om.message_row WHERE om.operator = ? AND om.provider_id = ? \
         ORDER BY om.id DESC LIMIT {NEWEST}) AS newest"
    );
    ids.sort_unstable();
    ids.dedup();
    let mut by_id: HashMap<String, Vec<Candidate>> = HashMap::new();
    for ids in ids.chunks(TOGETHER) {
        let values = ids.iter().map(|id| [operator.into(), id.as_str().into()]);
        let candidates: Vec<Candidate> = Sql::new("", []).each(&part, " UNION ALL ", values).all(tx).await?;
        for candidate in candidates {
            let known = by_id.entry(candidate.provider_id.clone()).or_default();
            // The last id is asked for again, up to the next power of two.
            if known.iter().all(|other| other.id != candidate.id) {
                known.push(candidate);
            }
        }
    }
    for known in by_id.values_mut() {
        known.sort_by_key(|candidate| std::cmp::Reverse(candidate.id));
    }
    Ok(by_id)
}
