//! Recording what became of taken recipients, or putting them off.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::{EventKind, MessageId, MessageStatus, OutboxStatus};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::delivery::{Claim, ClaimedRecipient, Deferred, Outcome, Settlement};
use crate::{
    engine::{
        StepError, Tx,
        statements::{null_text, null_time, padded},
    },
    entity::{
        message_status::{Column, Entity, Model},
        outbox_event::{self, Column as Outbox},
    },
    money::refund::refund,
};

/// Records those that an operator accepted, and tells of each in its place.
pub(super) async fn record_done(tx: &Tx, settlements: &[&Settlement], recorded: &mut [bool]) -> Result<(), StepError> {
    let mut done: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, settlement) in settlements.iter().enumerate() {
        if let Outcome::Done { provider } = &settlement.outcome {
            done.entry(provider).or_default().push(place);
        }
    }
    for (provider, places) in done {
        let claims: Vec<_> = places.iter().map(|place| &settlements[*place].claim).collect();
        for (place, is_recorded) in places.iter().zip(done_by(tx, &claims, provider).await?) {
            recorded[*place] = is_recorded;
        }
    }
    Ok(())
}

/// One statement, guarded by each row's claim. Rows are only read back where some were no longer ours.
async fn done_by(tx: &Tx, claims: &[&Claim], provider: &str) -> Result<Vec<bool>, StepError> {
    let ours = padded(claims.iter()).into_iter().fold(Condition::any(), |any, claim| {
        any.add(Condition::all().add(Column::Id.eq(claim.row)).add(Column::ClaimedBy.eq(&*claim.token)))
    });
    let updated = ended(tx, MessageStatus::Done, provider)
        .filter(Column::Status.eq(MessageStatus::Sending.as_str()))
        .filter(ours)
        .exec(tx)
        .await?
        .rows_affected;
    if updated == claims.len() as u64 {
        return Ok(vec![true; claims.len()]);
    }
    let recorded: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(padded(claims.iter().map(|claim| claim.row))))
        .filter(Column::Status.eq(MessageStatus::Done.as_str()))
        .filter(Column::Provider.eq(provider))
        .into_tuple()
        .all(tx)
        .await?;
    // Of rows that somebody else ended in the same way no more count as ours than were: which of them says nothing to anybody.
    let mut left = updated;
    let is_recorded = |claim: &&Claim| {
        let counts = recorded.contains(&claim.row) && left > 0;
        left -= u64::from(counts);
        counts
    };
    Ok(claims.iter().map(is_recorded).collect())
}

/// Records those that failed, under their locks, and gives back what was charged for them: so many credits.
pub(super) async fn fail(tx: &Tx, settlements: &[&Settlement], recorded: &mut [bool]) -> Result<i64, StepError> {
    let is_failed = |place: &usize| matches!(settlements[*place].outcome, Outcome::Failed { .. });
    let places: Vec<_> = (0..settlements.len()).filter(is_failed).collect();
    if places.is_empty() {
        return Ok(0);
    }
    let claims: Vec<_> = places.iter().map(|place| &settlements[*place].claim).collect();
    let rows = lock_claimed(tx, &claims).await?;
    let mut failed: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for place in &places {
        let Settlement { claim, outcome: Outcome::Failed { provider } } = settlements[*place] else { continue };
        if rows.contains_key(&claim.row) {
            recorded[*place] = true;
            failed.entry(provider).or_default().push(claim.row);
        }
    }
    for (provider, ids) in &failed {
        ended(tx, MessageStatus::Failed, provider)
            .filter(Column::Id.is_in(padded(ids.iter().copied())))
            .exec(tx)
            .await?;
    }
    let failed: Vec<_> = failed.values().flatten().filter_map(|id| rows.get(id)).collect();
    refund(tx, &failed).await
}

/// Sets rows to their end, and lets go of them.
fn ended(tx: &Tx, status: MessageStatus, provider: &str) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(status.as_str()))
        .col_expr(Column::Provider, Expr::value(provider))
        .col_expr(Column::ClaimedBy, null_text())
        .col_expr(Column::ClaimedUntil, null_time())
        .col_expr(Column::UpdatedAt, tx.dialect().now())
}

/// Locks those of the claimed rows that are still under the very claim, by primary key and in its order.
async fn lock_claimed(tx: &Tx, claims: &[&Claim]) -> Result<HashMap<i64, Model>, StepError> {
    let tokens: HashMap<i64, &str> = claims.iter().map(|claim| (claim.row, &*claim.token)).collect();
    let rows = Entity::find()
        .filter(Column::Id.is_in(padded(tokens.keys().copied())))
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    let ours = |row: &Model| {
        let is_open = MessageStatus::parse(&row.status.to_ascii_lowercase())
            .is_ok_and(|status| status.may_become(MessageStatus::Done));
        is_open && row.claimed_by.as_deref() == tokens.get(&row.id).copied()
    };
    Ok(rows.into_iter().filter(ours).map(|row| (row.id, row)).collect())
}

/// They stay `sending`, without a lease, and the message is published again after `delay`.
pub(super) async fn defer(
    tx: &Tx,
    message_id: &MessageId,
    recipients: &[ClaimedRecipient],
    delay: Duration,
) -> Result<Deferred, StepError> {
    let claims: Vec<_> = recipients.iter().map(|recipient| &recipient.claim).collect();
    let ours = lock_claimed(tx, &claims).await?;
    if !ours.is_empty() {
        Entity::update_many()
            .col_expr(Column::ClaimedBy, null_text())
            .col_expr(Column::ClaimedUntil, null_time())
            .col_expr(Column::UpdatedAt, tx.dialect().now())
            .filter(Column::Id.is_in(padded(ours.keys().copied())))
            .exec(tx)
            .await?;
    }
    schedule(tx, message_id, delay).await
}

/// Has the message's event published again after `delay`.
async fn schedule(tx: &Tx, message_id: &MessageId, delay: Duration) -> Result<Deferred, StepError> {
    // An event that somebody holds is being published, and not recorded yet: nobody waits for that.
    let event: Option<(i64, String)> = outbox_event::Entity::find()
        .select_only()
        .columns([Outbox::Id, Outbox::Status])
        .filter(Outbox::AggregateId.eq(message_id.as_str()))
        .filter(Outbox::EventType.eq(EventKind::Send.as_str()))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .one(tx)
        .await?;
    let Some((id, status)) = event else { return Ok(Deferred::NotYet) };
    match OutboxStatus::parse(&status) {
        Some(OutboxStatus::Processed | OutboxStatus::Failed) => {
            outbox_event::Entity::update_many()
                .col_expr(Outbox::Status, Expr::value(OutboxStatus::Pending.as_str()))
                .col_expr(Outbox::NextRunAt, tx.dialect().after(delay))
                .col_expr(Outbox::UpdatedAt, tx.dialect().now())
                .filter(Outbox::Id.eq(id))
                .exec(tx)
                .await?;
            Ok(Deferred::Scheduled)
        }
        // Another part of this message, or an earlier try of ours, has scheduled it already.
        Some(OutboxStatus::Pending) => Ok(Deferred::Scheduled),
        Some(OutboxStatus::Processing) | None => Ok(Deferred::NotYet),
    }
}
