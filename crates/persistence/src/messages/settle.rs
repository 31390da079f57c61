//! Recording what became of taken recipients, or putting them off.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    time::Duration,
};

use chrono::{NaiveDateTime, TimeDelta};
use domain::{CallbackType, DeliveryStatus, EventKind, MessageId, MessageStatus, OutboxStatus, Recipient};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{
    delivery::{ClaimedRecipient, Deferral, Deferred, Outcome, PutOff, Settlement},
    names, these,
};
use crate::{
    callbacks::{Change, emit},
    engine::{
        StepError, Tx,
        sql::Sql,
        statements::{null_text, null_time, padded},
    },
    entity::{
        message_status::{Column, Entity, Model},
        outbox_event::{self, Column as Outbox},
    },
    watched::Watched,
};

/// `error_code` of what was not sent in time.
const EXPIRED: &str = "expired";

/// What became of a settlement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    /// It was under the very claim, and is written.
    pub(super) is_ours: bool,
    /// The message's row, where somebody asks for it.
    pub(super) row: Option<i64>,
}

impl Written {
    fn of(row: Option<&Model>) -> Self {
        Self { is_ours: row.is_some(), row: row.map(|row| row.id) }
    }
}

/// Records those that an operator accepted, and tells of each in its place.
pub(super) async fn record_done(
    tx: &Tx,
    settlements: &[&Settlement],
    recorded: &mut [Written],
    watched: &Watched,
) -> Result<(), StepError> {
    let mut done: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, settlement) in settlements.iter().enumerate() {
        if let Outcome::Done { provider } = &settlement.outcome {
            done.entry(provider).or_default().push(place);
        }
    }
    give_up(tx, settlements, recorded).await?;
    for (provider, places) in done {
        let claims: Vec<_> = places.iter().map(|place| &settlements[*place].claimed).collect();
        // Whose row it was is asked where an operator's id or an event is kept with it.
        let is_asked =
            |settlement: &Settlement| !settlement.called.is_empty() || watched.has(settlement.claimed.customer.get());
        let done = if places.iter().any(|place| is_asked(settlements[*place])) {
            done_rows(tx, &claims, provider).await?
        } else {
            done_by(tx, &claims, provider).await?
        };
        for (place, done) in places.iter().zip(done) {
            recorded[*place] = done;
        }
    }
    Ok(())
}

/// Records those of which nobody will ever know whether an operator took them: they count as taken.
async fn give_up(tx: &Tx, settlements: &[&Settlement], recorded: &mut [Written]) -> Result<(), StepError> {
    let places: Vec<_> =
        (0..settlements.len()).filter(|place| settlements[*place].outcome == Outcome::NeverKnown).collect();
    if places.is_empty() {
        return Ok(());
    }
    let claims: Vec<_> = places.iter().map(|place| &settlements[*place].claimed).collect();
    let rows = lock_claimed(tx, &claims).await?;
    let ids: Vec<_> = rows.iter().flatten().map(|row| row.id).collect();
    if !ids.is_empty() {
        Entity::update_many()
            .col_expr(Column::Status, Expr::value(MessageStatus::Done.as_str()))
            .col_expr(Column::DeliveryStatus, Expr::value(DeliveryStatus::Unknown.as_str()))
            .col_expr(Column::ClaimedBy, null_text())
            .col_expr(Column::ClaimedUntil, null_time())
            .col_expr(Column::UpdatedAt, tx.dialect().now())
            .filter(Column::Id.is_in(padded(ids)))
            .exec(tx)
            .await?;
    }
    for (place, row) in places.iter().zip(&rows) {
        recorded[*place] = Written::of(row.as_ref());
    }
    Ok(())
}

/// The same with the rows, which are locked first.
async fn done_rows(tx: &Tx, claims: &[&ClaimedRecipient], provider: &str) -> Result<Vec<Written>, StepError> {
    let rows = lock_claimed(tx, claims).await?;
    let ids: Vec<_> = rows.iter().flatten().map(|row| row.id).collect();
    end(tx, MessageStatus::Done, provider, &ids).await?;
    Ok(rows.iter().map(|row| Written::of(row.as_ref())).collect())
}

/// One statement, guarded by each row's claim. Rows are only read back where some were no longer ours.
async fn done_by(tx: &Tx, claims: &[&ClaimedRecipient], provider: &str) -> Result<Vec<Written>, StepError> {
    let as_written = |is_ours| Written { is_ours, row: None };
    let ours = claims.iter().map(|claim| {
        let [message_id, recipient] = names(claim.pair());
        [message_id, recipient, (&*claim.token).into()]
    });
    let updated = ended(tx, MessageStatus::Done, provider)
        .and(" WHERE status = ? AND ", [MessageStatus::Sending.as_str().into()])
        .any("(message_identifier = ? AND recipient = ? AND claimed_by = ?)", ours)
        .execute(tx)
        .await?;
    if updated == claims.len() as u64 {
        return Ok(vec![as_written(true); claims.len()]);
    }
    let recorded: Vec<(String, String)> = Entity::find()
        .select_only()
        .columns([Column::MessageIdentifier, Column::Recipient])
        .filter(these(claims.iter().map(|claim| claim.pair())))
        .filter(Column::Status.eq(MessageStatus::Done.as_str()))
        .filter(Column::Provider.eq(provider))
        .into_tuple()
        .all(tx)
        .await?;
    // Of rows that somebody else ended in the same way no more count as ours than were: which of them says nothing to anybody.
    let mut left = updated;
    let recorded: HashSet<_> = recorded.iter().map(|(message_id, recipient)| (&**message_id, &**recipient)).collect();
    let is_recorded = |claim: &&ClaimedRecipient| {
        let counts = recorded.contains(&key(claim)) && left > 0;
        left -= u64::from(counts);
        as_written(counts)
    };
    Ok(claims.iter().map(is_recorded).collect())
}

/// Records those that failed, and what has expired, under their locks. Gives the rows for which something is to be given back.
pub(super) async fn fail(
    tx: &Tx,
    settlements: &[&Settlement],
    recorded: &mut [Written],
    expired: Vec<Model>,
    watched: &Watched,
) -> Result<Vec<Model>, StepError> {
    let is_failed = |place: &usize| matches!(settlements[*place].outcome, Outcome::Failed { .. });
    let places: Vec<_> = (0..settlements.len()).filter(is_failed).collect();
    if places.is_empty() && expired.is_empty() {
        return Ok(Vec::new());
    }
    let claims: Vec<_> = places.iter().map(|place| &settlements[*place].claimed).collect();
    let rows = lock_claimed(tx, &claims).await?;
    let mut failed: BTreeMap<&str, Vec<Model>> = BTreeMap::new();
    for (place, row) in places.iter().zip(rows) {
        let (Outcome::Failed { provider }, Some(row)) = (&settlements[*place].outcome, row) else { continue };
        recorded[*place] = Written::of(Some(&row));
        failed.entry(provider).or_default().push(row);
    }
    for (provider, rows) in &failed {
        end(tx, MessageStatus::Failed, provider, &rows.iter().map(|row| row.id).collect::<Vec<_>>()).await?;
    }
    if !expired.is_empty() {
        let ids: Vec<_> = expired.iter().map(|row| row.id).collect();
        end(tx, MessageStatus::Failed, "", &ids).await?;
        Sql::new("UPDATE message_status SET error_code = ? WHERE id IN ", [EXPIRED.into()])
            .list(ids.into_iter().map(Into::into))
            .execute(tx)
            .await?;
    }
    let failed: Vec<_> = failed.into_values().flatten().chain(expired).collect();
    emit(tx, watched, Change::of_rows(&failed.iter().collect::<Vec<_>>(), CallbackType::Failed)).await?;
    Ok(failed)
}

/// Sets these rows to their end, and lets go of them.
pub(super) async fn end(tx: &Tx, status: MessageStatus, provider: &str, rows: &[i64]) -> Result<(), StepError> {
    if !rows.is_empty() {
        let ids = rows.iter().map(|id| (*id).into());
        ended(tx, status, provider).and(" WHERE id IN ", []).list(ids).execute(tx).await?;
    }
    Ok(())
}

/// The same of rows that are still to be named.
fn ended(tx: &Tx, status: MessageStatus, provider: &str) -> Sql {
    let now = tx.dialect().now_text();
    Sql::new(
        format!(
            "UPDATE message_status SET status = ?, provider = ?, claimed_by = NULL, claimed_until = NULL, updated_at = {now}"
        ),
        [status.as_str().into(), provider.into()],
    )
}

/// Locks those of the claimed rows that are still under the very claim. Answers come in order, each row but once.
async fn lock_claimed(tx: &Tx, claims: &[&ClaimedRecipient]) -> Result<Vec<Option<Model>>, StepError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Open::lock(tx, claims.iter().map(|claim| claim.pair())).await?;
    // Whose lease is over may settle beside the new owner: the row is left for that one.
    let under_claim =
        |claim: &&ClaimedRecipient| rows.take(claim.pair(), |row| row.claimed_by.as_deref() == Some(&*claim.token));
    Ok(claims.iter().map(under_claim).collect())
}

/// Locked rows whose outcome may still be recorded: those that are `sending`. By what names them.
pub(super) struct Open(HashMap<(String, String), Model>);

impl Open {
    /// Locks these rows with one statement, which meets them in the order of their unique index.
    pub(super) async fn lock<'a>(
        tx: &Tx,
        pairs: impl IntoIterator<Item = (&'a MessageId, &'a Recipient)>,
    ) -> Result<Self, StepError> {
        let rows = Entity::find().filter(these(pairs)).lock_exclusive().all(tx).await?;
        let is_open = |row: &Model| {
            let status = MessageStatus::parse(&row.status.to_ascii_lowercase());
            status.is_ok_and(|status| status.may_become(MessageStatus::Done))
        };
        let open = rows.into_iter().filter(is_open);
        Ok(Self(open.map(|row| ((row.message_identifier.clone(), row.recipient.clone()), row)).collect()))
    }

    /// A row for whoever may have it: each is given but once.
    pub(super) fn take(
        &mut self,
        (message_id, recipient): (&MessageId, &Recipient),
        may_have: impl FnOnce(&Model) -> bool,
    ) -> Option<Model> {
        match self.0.entry((message_id.as_str().to_owned(), recipient.as_str().to_owned())) {
            Entry::Occupied(row) if may_have(row.get()) => Some(row.remove()),
            Entry::Occupied(_) | Entry::Vacant(_) => None,
        }
    }
}

/// As they stand in the row.
fn key(claim: &ClaimedRecipient) -> (&str, &str) {
    let (message_id, recipient) = claim.pair();
    (message_id.as_str(), recipient.as_str())
}

/// What an operator may have stays `sending`, without a lease; what certainly none has is `pending` again. The message is published again
/// later.
pub(super) async fn defer(tx: &Tx, message_id: &MessageId, deferral: &Deferral) -> Result<Deferred, StepError> {
    let Deferral { maybe_taken, untaken, put_off } = deferral;
    for (recipients, back) in [(maybe_taken, None), (untaken, Some(MessageStatus::Pending))] {
        let rows = lock_claimed(tx, &recipients.iter().collect::<Vec<_>>()).await?;
        let ours: Vec<_> = rows.iter().flatten().map(|row| row.id).collect();
        if ours.is_empty() {
            continue;
        }
        let mut update = Entity::update_many()
            .col_expr(Column::ClaimedBy, null_text())
            .col_expr(Column::ClaimedUntil, null_time())
            .col_expr(Column::UpdatedAt, tx.dialect().now());
        if let Some(status) = back {
            update = update.col_expr(Column::Status, Expr::value(status.as_str()));
        }
        update.filter(Column::Id.is_in(padded(ours))).exec(tx).await?;
    }
    schedule(tx, message_id, *put_off).await
}

/// Has the message's event published again later.
async fn schedule(tx: &Tx, message_id: &MessageId, put_off: PutOff) -> Result<Deferred, StepError> {
    // An event that somebody holds is being published, and not recorded yet: nobody waits for that.
    let event: Option<(i64, String, Option<NaiveDateTime>, i64, NaiveDateTime)> = outbox_event::Entity::find()
        .select_only()
        .columns([Outbox::Id, Outbox::Status, Outbox::NextRunAt])
        .expr_as(tx.dialect().millis_since(Expr::col(Outbox::CreatedAt)), "age_millis")
        .expr_as(tx.dialect().now(), "now")
        .filter(Outbox::AggregateId.eq(message_id.as_str()))
        .filter(Outbox::EventType.eq(EventKind::Send.as_str()))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .one(tx)
        .await?;
    let Some((id, status, next_run_at, age_millis, now)) = event else { return Ok(Deferred::NotYet) };
    let age = Duration::from_millis(u64::try_from(age_millis).unwrap_or(0));
    let delay = put_off.after(now.and_utc(), age);
    // Another part of this message, or an earlier try of ours, may have scheduled it already, and for later than this one needs it.
    let is_later = || next_run_at.is_some_and(|at| at - now > TimeDelta::from_std(delay).unwrap_or(TimeDelta::MAX));
    match OutboxStatus::parse(&status) {
        Some(OutboxStatus::Pending) if !is_later() => Ok(Deferred::Scheduled),
        Some(OutboxStatus::Processed | OutboxStatus::Failed | OutboxStatus::Pending) => {
            outbox_event::Entity::update_many()
                .col_expr(Outbox::Status, Expr::value(OutboxStatus::Pending.as_str()))
                .col_expr(Outbox::NextRunAt, tx.dialect().after(delay))
                .col_expr(Outbox::UpdatedAt, tx.dialect().now())
                .filter(Outbox::Id.eq(id))
                .exec(tx)
                .await?;
            Ok(Deferred::Scheduled)
        }
        Some(OutboxStatus::Processing | OutboxStatus::Scheduled) | None => Ok(Deferred::NotYet),
    }
}
