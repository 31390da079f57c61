//! What receipts make of messages, in memory: what of it is to be written.

use std::collections::{BTreeMap, HashMap};

use chrono::{NaiveDateTime, TimeDelta};
use domain::{DeliveryStatus, MessageStatus, ReceiptState};

use super::{candidates::Found, parked::Parked};
use crate::entity::{message_status, operator_message};

/// A message's row with what is known of its parts.
pub(super) struct Message {
    pub(super) row: message_status::Model,
    /// By their rows.
    parts: BTreeMap<i64, Part>,
    pub(super) is_changed: bool,
    /// Nobody waits for receipts of it any more.
    pub(super) has_ended: bool,
}

#[derive(Clone)]
struct Part {
    operator: String,
    /// As the operator calls it; the same for all parts where it gave one id for the message.
    provider_id: String,
    number: i16,
    state: Option<ReceiptState>,
    /// How many there are of what this operator took.
    of: usize,
    taken_at: NaiveDateTime,
    is_changed: bool,
}

impl Part {
    fn is_called_as(&self, other: &Self) -> bool {
        (&self.operator, &self.provider_id) == (&other.operator, &other.provider_id)
    }
}

/// A receipt with its message.
pub(super) struct Matched<'a> {
    pub(super) receipt: &'a Parked,
    pub(super) found: Found,
    pub(super) effect: Effect,
}

/// What a receipt changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// The first that ended the message, or the one that told of a delivery after all.
    pub(super) told: Option<DeliveryStatus>,
    /// It says otherwise than one before it.
    pub(super) contradicts: bool,
    /// Since the operator's acceptance was recorded.
    pub(super) delay: TimeDelta,
}

impl Message {
    pub(super) fn new(row: message_status::Model, called: &[operator_message::Model]) -> Self {
        let part = |called: &operator_message::Model| Part {
            operator: called.operator.clone(),
            provider_id: called.provider_id.clone(),
            number: called.part,
            state: called.state.as_deref().and_then(|state| ReceiptState::parse(state).ok()),
            of: usize::try_from(called.parts).unwrap_or(1),
            taken_at: called.created_at,
            is_changed: false,
        };
        let parts = called.iter().map(|called| (called.id, part(called))).collect();
        Self { row, parts, is_changed: false, has_ended: false }
    }

    pub(super) fn delivery_status(&self) -> Option<DeliveryStatus> {
        self.row.delivery_status.as_deref().and_then(|status| DeliveryStatus::parse(status).ok())
    }

    /// Whether money was given back for it already: it failed.
    pub(super) fn was_refunded(&self) -> bool {
        MessageStatus::parse(&self.row.status.to_ascii_lowercase()) == Ok(MessageStatus::Failed)
    }

    /// Whether this row is of a message that has no other parts, as far as is known.
    pub(super) fn is_whole(&self, called: i64) -> bool {
        self.parts.get(&called).is_some_and(|part| part.of == 1)
    }

    /// The row of a part that has the same id as this one.
    pub(super) fn part_of(&self, called: i64, number: i16) -> Option<i64> {
        let named = self.parts.get(&called)?;
        self.parts.iter().find(|(_, part)| part.is_called_as(named) && part.number == number).map(|(id, _)| *id)
    }

    /// Takes in one receipt: of the part that it names, or of all that are called so.
    pub(super) fn hear(&mut self, called: i64, receipt: &Parked) -> Effect {
        let known = self.delivery_status();
        let contradicts = receipt.state.tells().is_some_and(|told| told.contradicts(known));
        let Some(named) = self.parts.get(&called).cloned() else { return Effect { contradicts, ..Effect::default() } };
        let is_meant =
            |(id, part): &(&i64, &mut Part)| **id == called || receipt.part.is_none() && part.is_called_as(&named);
        for (_, part) in self.parts.iter_mut().filter(is_meant) {
            let after = receipt.state.after(part.state);
            part.is_changed |= part.state != Some(after);
            part.state = Some(after);
        }
        let together = self.together(&named.operator, false);
        let told = self.end_as(together, receipt.error_code.clone(), receipt.received_at);
        Effect { told, contradicts, delay: receipt.received_at - named.taken_at }
    }

    /// Waits no longer: what was not heard of is not known, or was delivered where other parts were.
    pub(super) fn give_up(&mut self, now: NaiveDateTime) -> Option<DeliveryStatus> {
        let mut operators: Vec<_> = self.parts.values().map(|part| part.operator.clone()).collect();
        operators.dedup();
        self.has_ended = true;
        let told = operators.iter().filter_map(|operator| self.together(operator, true));
        // Of what two operators took the better end counts.
        let best =
            told.fold(None, |best: Option<DeliveryStatus>, told| if told.replaces(best) { Some(told) } else { best });
        self.end_as(best, None, now)
    }

    /// What the parts of what one operator took come to.
    fn together(&self, operator: &str, is_over: bool) -> Option<DeliveryStatus> {
        let own = self.parts.values().filter(|part| part.operator == operator);
        let mut known: Vec<_> = own.clone().map(|part| part.state.and_then(ReceiptState::tells)).collect();
        let of = own.map(|part| part.of).max().unwrap_or(1);
        known.resize(known.len().max(of), None);
        DeliveryStatus::of_parts(&known, is_over)
    }

    fn end_as(
        &mut self,
        told: Option<DeliveryStatus>,
        error_code: Option<String>,
        at: NaiveDateTime,
    ) -> Option<DeliveryStatus> {
        let told = told.filter(|told| told.replaces(self.delivery_status()))?;
        self.row.delivery_status = Some(told.as_str().to_owned());
        self.row.error_code = error_code;
        self.row.delivered_at = (told == DeliveryStatus::Delivered).then_some(at);
        self.is_changed = true;
        // What cannot be told now may be told later.
        self.has_ended |= told != DeliveryStatus::Unknown;
        Some(told)
    }

    /// The parts of which more is known than before.
    pub(super) fn changed_parts(&self) -> impl Iterator<Item = (i64, ReceiptState)> {
        let changed = self.parts.iter().filter(|(_, part)| part.is_changed);
        changed.filter_map(|(id, part)| Some((*id, part.state?)))
    }

    /// Whether some part was delivered while others are still to be heard of.
    pub(super) fn waits_for_the_rest(&self) -> bool {
        let is_delivered = |part: &Part| part.state == Some(ReceiptState::Delivered);
        self.delivery_status().is_none() && self.parts.values().any(is_delivered)
    }
}

/// The messages of these rows, with what operators call their parts.
pub(super) fn messages(
    rows: Vec<message_status::Model>,
    called: Vec<operator_message::Model>,
) -> BTreeMap<i64, Message> {
    let mut by_row: HashMap<i64, Vec<operator_message::Model>> = HashMap::new();
    for called in called {
        by_row.entry(called.message_row).or_default().push(called);
    }
    let message =
        |row: message_status::Model| (row.id, Message::new(row.clone(), by_row.get(&row.id).map_or(&[], |of| of)));
    rows.into_iter().map(message).collect()
}

/// Lets each receipt be heard, in the order in which they were received.
pub(super) fn hear_all(messages: &mut BTreeMap<i64, Message>, matched: &mut [Matched<'_>]) {
    matched.sort_by_key(|matched| matched.receipt.id);
    for Matched { receipt, found, effect } in matched {
        if let Some(message) = messages.get_mut(&found.message_row) {
            *effect = message.hear(found.called, receipt);
        }
    }
}
