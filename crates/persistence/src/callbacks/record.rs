//! Recording what became of attempts, many in one transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use chrono::NaiveDateTime;
use domain::{CallbackStatus, CallbackType};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{
    claims::ClaimedCallback,
    emit::tell_others,
    health::{Health, Verdict},
    payload,
};
use crate::{
    Database, Error, Query,
    engine::{
        StepError, Tx,
        sql::{Sql, insert},
        statements::padded,
        transaction,
    },
    entity::{
        callback_attempt,
        callback_endpoint::{self, Column as Endpoint},
        callback_event::{Column, Entity},
    },
};

/// Lets go of an event.
const FREE: &str = "claimed_by = NULL, claimed_until = NULL";

/// What became of one attempt.
#[derive(Debug, Clone)]
pub struct CallbackRecord {
    /// What was sent.
    pub claimed: ClaimedCallback,
    /// How long it took.
    pub duration: Duration,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there was none: at most 32 ASCII characters.
    pub error: Option<&'static str>,
    /// The beginning of the answer's body, at most 1,024 bytes.
    pub response: Vec<u8>,
    /// What follows from it.
    pub end: CallbackEnd,
    /// Whether its endpoint was known to fail when this was claimed.
    pub was_failing: bool,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackEnd {
    /// The endpoint took it.
    Done,
    /// It did not, and the event is due again after so long; `None` was the last attempt.
    Again(Option<Duration>),
    /// The endpoint wants nothing any more. The event waits so long, in case it is enabled again.
    Gone(Option<Duration>),
}

/// What recording came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Endpoints that are let alone for a while from now on.
    pub paused: u64,
    /// Endpoints that are told nothing any more.
    pub disabled: Vec<String>,
}

impl Database {
    /// Records attempts, and what they make of their endpoints. Of an event that is no longer ours only the attempt is kept.
    pub async fn record_callbacks(&self, records: &[CallbackRecord]) -> Result<Recorded, Error> {
        if records.is_empty() {
            return Ok(Recorded::default());
        }
        transaction!(self, Query::CallbackRecord, |tx| record(tx, records)).await
    }
}

async fn record(tx: &Tx, records: &[CallbackRecord]) -> Result<Recorded, StepError> {
    let Ours { rows: ours, again } = lock_ours(tx, records).await?;
    insert(tx, records.iter().map(attempt_row).collect()).await?;
    let mut endpoints = lock_endpoints(tx, records).await?;
    for record in records {
        let Some(endpoint) = endpoints.get_mut(&record.claimed.endpoint) else { continue };
        match record.end {
            CallbackEnd::Done => endpoint.health.success(),
            CallbackEnd::Again(_) => endpoint.health.failure(false),
            CallbackEnd::Gone(_) => endpoint.health.failure(true),
        }
    }
    let ours: Vec<_> = records.iter().filter(|record| ours.contains(&record.claimed.row)).collect();
    write_events(tx, &ours, &endpoints).await?;
    make_due_again(tx, again).await?;
    write_endpoints(tx, &endpoints).await
}

/// The events that are still under our claim.
struct Ours {
    /// Of which an attempt has its usual end.
    rows: BTreeSet<i64>,
    /// Which were asked for again while they were being sent: due at once, with all attempts before them, however this one ended.
    again: Vec<i64>,
}

async fn lock_ours(tx: &Tx, records: &[CallbackRecord]) -> Result<Ours, StepError> {
    let ids: BTreeSet<i64> = records.iter().map(|record| record.claimed.row).collect();
    let rows: Vec<(i64, Option<String>, i32)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::ClaimedBy, Column::Attempts])
        .filter(Column::Id.is_in(padded(ids)))
        .filter(Column::Status.eq(CallbackStatus::Sending.as_str()))
        .lock(LockType::Update)
        .into_tuple()
        .all(tx)
        .await?;
    let tokens: HashMap<i64, &str> =
        records.iter().map(|record| (record.claimed.row, &*record.claimed.token)).collect();
    let is_ours = |(id, owner, _): &(i64, Option<String>, i32)| owner.as_deref() == tokens.get(id).copied();
    // A claim counts its attempt, so only who asked for it again put that back to 0.
    let (again, ours): (Vec<_>, Vec<_>) = rows.into_iter().filter(is_ours).partition(|(.., attempts)| *attempts == 0);
    let id = |(id, ..): (i64, Option<String>, i32)| id;
    Ok(Ours { rows: ours.into_iter().map(id).collect(), again: again.into_iter().map(id).collect() })
}

async fn make_due_again(tx: &Tx, rows: Vec<i64>) -> Result<(), StepError> {
    if rows.is_empty() {
        return Ok(());
    }
    let now = tx.dialect().now_text();
    let text = format!("UPDATE callback_events SET status = ?, next_run_at = {now}, {FREE} WHERE id IN ");
    let pending = CallbackStatus::Pending.as_str().into();
    Sql::new(text, [pending]).list(rows.into_iter().map(Into::into)).execute(tx).await?;
    Ok(())
}

fn attempt_row(record: &CallbackRecord) -> callback_attempt::ActiveModel {
    callback_attempt::ActiveModel {
        event_id: Set(record.claimed.row),
        duration_ms: Set(i32::try_from(record.duration.as_millis()).unwrap_or(i32::MAX)),
        status_code: Set(record.status.and_then(|status| i16::try_from(status).ok())),
        error: Set(record.error.map(str::to_owned)),
        response: Set(record.response.clone()),
        trigger: Set(record.claimed.trigger.as_str().to_owned()),
        ..Default::default()
    }
}

struct Judged {
    public_id: String,
    customer: i64,
    now: NaiveDateTime,
    health: Health,
}

#[derive(FromQueryResult)]
struct EndpointRow {
    id: i64,
    public_id: String,
    customer_id: i64,
    enabled: bool,
    failures: i32,
    failing_millis: Option<i64>,
    paused_millis: Option<i64>,
    now: NaiveDateTime,
}

/// The endpoints of which something may change, or whose being there matters: not those that work and did before.
async fn lock_endpoints(tx: &Tx, records: &[CallbackRecord]) -> Result<BTreeMap<i64, Judged>, StepError> {
    let is_asked = |record: &&CallbackRecord| record.end != CallbackEnd::Done || record.was_failing;
    let ids: BTreeSet<i64> = records.iter().filter(is_asked).map(|record| record.claimed.endpoint).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let dialect = tx.dialect();
    let rows: Vec<EndpointRow> = callback_endpoint::Entity::find()
        .select_only()
        .columns([Endpoint::Id, Endpoint::PublicId, Endpoint::CustomerId, Endpoint::Enabled, Endpoint::Failures])
        .expr_as(dialect.millis_since(Expr::col(Endpoint::FailingSince)), "failing_millis")
        .expr_as(dialect.millis_since(Expr::col(Endpoint::PausedUntil)), "paused_millis")
        .expr_as(dialect.now(), "now")
        .filter(Endpoint::Id.is_in(padded(ids)))
        .lock(LockType::Update)
        .into_model()
        .all(tx)
        .await?;
    let health = |row: &EndpointRow| Health {
        failures: u32::try_from(row.failures).unwrap_or(0),
        failing_for: row.failing_millis.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))),
        is_paused: row.paused_millis.is_some_and(|millis| millis < 0),
        enabled: row.enabled,
        has_worked: false,
        change: None,
    };
    let endpoint = |row: EndpointRow| {
        let health = health(&row);
        (row.id, Judged { public_id: row.public_id, customer: row.customer_id, now: row.now, health })
    };
    Ok(rows.into_iter().map(endpoint).collect())
}

async fn write_events(tx: &Tx, ours: &[&CallbackRecord], endpoints: &BTreeMap<i64, Judged>) -> Result<(), StepError> {
    let mut ended: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut again: Vec<(i64, Duration)> = Vec::new();
    for record in ours {
        let row = record.claimed.row;
        match record.end {
            CallbackEnd::Done => ended.entry(CallbackStatus::Done.as_str()).or_default().push(row),
            _ if !endpoints.contains_key(&record.claimed.endpoint) => {
                ended.entry(CallbackStatus::Cancelled.as_str()).or_default().push(row);
            }
            CallbackEnd::Again(Some(wait)) | CallbackEnd::Gone(Some(wait)) => again.push((row, wait)),
            CallbackEnd::Again(None) | CallbackEnd::Gone(None) => {
                ended.entry(CallbackStatus::Failed.as_str()).or_default().push(row);
            }
        }
    }
    let now = tx.dialect().now_text();
    for (status, ids) in ended {
        let text = format!("UPDATE callback_events SET status = ?, next_run_at = {now}, {FREE} WHERE id IN ");
        Sql::new(text, [status.into()]).list(ids.into_iter().map(Into::into)).execute(tx).await?;
    }
    if again.is_empty() {
        return Ok(());
    }
    let dialect = tx.dialect();
    let when = format!("WHEN ? THEN {}", dialect.after_text());
    let waits = again.iter().map(|(row, wait)| [(*row).into(), dialect.delay(*wait)]);
    Sql::new(
        format!("UPDATE callback_events SET status = ?, requested = NULL, {FREE}, next_run_at = CASE id "),
        [CallbackStatus::Pending.as_str().into()],
    )
    .each(&when, " ", waits)
    .and(" END WHERE id IN ", [])
    .list(again.iter().map(|(row, _)| (*row).into()))
    .execute(tx)
    .await?;
    Ok(())
}

/// Those of which the same is made are written together.
async fn write_endpoints(tx: &Tx, endpoints: &BTreeMap<i64, Judged>) -> Result<Recorded, StepError> {
    let mut verdicts: BTreeMap<Verdict, Vec<i64>> = BTreeMap::new();
    for (row, endpoint) in endpoints {
        if let Some(verdict) = endpoint.health.change {
            verdicts.entry(verdict).or_default().push(*row);
        }
    }
    let mut recorded = Recorded::default();
    let mut disabled: BTreeMap<i64, &'static str> = BTreeMap::new();
    for (verdict, rows) in verdicts {
        match verdict {
            Verdict::Works => {}
            Verdict::Fails { pause, .. } => recorded.paused += if pause.is_some() { rows.len() as u64 } else { 0 },
            Verdict::Disabled(reason) => disabled.extend(rows.iter().map(|row| (*row, reason))),
        }
        set(tx, verdict).and(" WHERE id IN ", []).list(rows.into_iter().map(Into::into)).execute(tx).await?;
    }
    recorded.disabled = disabled.keys().map(|row| endpoints[row].public_id.clone()).collect();
    let whose: Vec<_> = disabled.keys().map(|row| (*row, endpoints[row].customer)).collect();
    let body = |row: i64| {
        let endpoint = &endpoints[&row];
        payload::of_endpoint(CallbackType::EndpointDisabled, endpoint.now, &endpoint.public_id, Some(disabled[&row]))
    };
    tell_others(tx, &whose, body).await?;
    Ok(recorded)
}

fn set(tx: &Tx, verdict: Verdict) -> Sql {
    let (now, after) = (tx.dialect().now_text(), tx.dialect().after_text());
    match verdict {
        Verdict::Works => {
            Sql::new("UPDATE callback_endpoints SET failures = 0, failing_since = NULL, paused_until = NULL", [])
        }
        Verdict::Fails { failures, pause, begins_now } => {
            let failures = i32::try_from(failures).unwrap_or(i32::MAX);
            let since = if begins_now { now.to_owned() } else { format!("COALESCE(failing_since, {now})") };
            let text = format!("UPDATE callback_endpoints SET failures = ?, failing_since = {since}");
            let sql = Sql::new(text, [failures.into()]);
            match pause {
                Some(pause) => sql.and(&format!(", paused_until = {after}"), [tx.dialect().delay(pause)]),
                None if begins_now => sql.and(", paused_until = NULL", []),
                None => sql,
            }
        }
        Verdict::Disabled(reason) => {
            let text = format!(
                "UPDATE callback_endpoints SET enabled = ?, disabled_reason = ?, \
                 failing_since = COALESCE(failing_since, {now})"
            );
            Sql::new(text, [false.into(), reason.into()])
        }
    }
}
