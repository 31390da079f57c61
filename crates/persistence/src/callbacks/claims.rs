//! Claiming what is due: by endpoint, so that what waits for one stands in no other's way.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use domain::{CallbackStatus, CallbackTrigger, callback::schedule::FAILURES_TO_PAUSE};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, Value};
use uuid::Uuid;

use crate::{
    Database, Error, Query,
    engine::{StepError, Tx, reading, sql::Sql, statements::padded, transaction},
    entity::callback_event::{Column, Entity, Model},
};

/// Events of one endpoint that a round claims at most.
const PER_ENDPOINT: usize = 16;

/// An endpoint for which something is due.
#[derive(Debug, Clone)]
pub struct DueEndpoint {
    /// The row, in whose order endpoints are looked at.
    pub row: i64,
    /// What it is named by, and its secrets are made from.
    pub id: String,
    /// Where callbacks go.
    pub url: String,
    /// Which of its secrets is the current one.
    pub secret_version: u32,
    /// Whether the one before signs too.
    pub signs_with_previous: bool,
    /// Whether it has failed since it last took something.
    pub is_failing: bool,
    /// Whether it failed so often that one event is enough to see if it is back.
    pub is_probed: bool,
    /// The most that it is sent in a second.
    pub per_second: Option<NonZeroU32>,
}

/// An event under our lease.
#[derive(Debug, Clone)]
pub struct ClaimedCallback {
    /// The row of its endpoint.
    pub endpoint: i64,
    /// What it is named by: the same in all attempts.
    pub id: String,
    /// Where it goes instead of to the endpoint's own URL.
    pub url: Option<String>,
    /// What is signed and sent.
    pub payload: String,
    /// With this one.
    pub attempts: u32,
    /// Why it is sent now.
    pub trigger: CallbackTrigger,
    pub(super) row: i64,
    pub(super) token: Arc<str>,
}

#[derive(FromQueryResult)]
struct DueRow {
    id: i64,
    public_id: String,
    url: String,
    secret_version: i32,
    signs_with_previous: i32,
    failures: i32,
    per_second: Option<i32>,
}

impl Database {
    /// Endpoints that may be told something that is due, from the row after this one on.
    pub async fn due_endpoints(&self, after: i64, most: u64) -> Result<Vec<DueEndpoint>, Error> {
        reading!(self, Query::CallbackDue, |db| async {
            let now = db.dialect().now_text();
            // Asked of each endpoint by the index of events; a join would read all that is due.
            let text = format!(
                "SELECT e.id, e.public_id, e.url, e.secret_version, e.failures, e.per_second, \
                 CASE WHEN e.previous_until > {now} THEN 1 ELSE 0 END AS signs_with_previous \
                 FROM callback_endpoints e WHERE e.id > ? AND e.enabled = ? \
                 AND (e.paused_until IS NULL OR e.paused_until <= {now}) \
                 AND (SELECT v.id FROM callback_events v WHERE v.endpoint_id = e.id AND v.status = ? \
                 AND v.next_run_at <= {now} LIMIT 1) IS NOT NULL ORDER BY e.id LIMIT ?"
            );
            let values = [after.into(), true.into(), CallbackStatus::Pending.as_str().into(), most.into()];
            let rows: Vec<DueRow> = Sql::new(text, values).all(db).await?;
            Ok(rows.into_iter().map(due).collect())
        })
        .await
    }

    /// Claims up to so many due events of each of these endpoints, 16 at most, for the time of the lease. The attempt counts from now
    /// on, whatever becomes of it.
    pub async fn claim_callbacks(
        &self,
        wanted: &[(i64, usize)],
        lease: Duration,
    ) -> Result<Vec<ClaimedCallback>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let token: Arc<str> = Uuid::now_v7().to_string().into();
        transaction!(self, Query::CallbackClaim, |tx| claim(tx, wanted, lease, &token)).await
    }
}

fn due(row: DueRow) -> DueEndpoint {
    let failures = u32::try_from(row.failures).unwrap_or(0);
    DueEndpoint {
        row: row.id,
        id: row.public_id,
        url: row.url,
        secret_version: u32::try_from(row.secret_version).unwrap_or(0),
        signs_with_previous: row.signs_with_previous != 0,
        is_failing: failures > 0,
        is_probed: failures >= FAILURES_TO_PAUSE,
        per_second: row.per_second.and_then(|limit| u32::try_from(limit).ok()).and_then(NonZeroU32::new),
    }
}

/// Nothing is locked before it is marked as ours: of two that want the same, one finds it taken.
async fn claim(
    tx: &Tx,
    wanted: &[(i64, usize)],
    lease: Duration,
    token: &Arc<str>,
) -> Result<Vec<ClaimedCallback>, StepError> {
    let ids = candidates(tx, wanted).await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let dialect = tx.dialect();
    let (now, until) = (dialect.now_text(), dialect.after_text());
    let values = [
        CallbackStatus::Sending.as_str().into(),
        (&**token).into(),
        dialect.delay(lease),
        dialect.delay(lease),
        CallbackStatus::Pending.as_str().into(),
    ];
    let text = format!(
        "UPDATE callback_events SET status = ?, claimed_by = ?, claimed_until = {until}, next_run_at = {until}, \
         attempts = attempts + 1 WHERE status = ? AND next_run_at <= {now} AND id IN "
    );
    if Sql::new(text, values).list(ids.iter().map(|id| (*id).into())).execute(tx).await? == 0 {
        return Ok(Vec::new());
    }
    let rows = Entity::find()
        .filter(Column::Id.is_in(padded(ids)))
        .filter(Column::ClaimedBy.eq(&**token))
        .filter(Column::Status.eq(CallbackStatus::Sending.as_str()))
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| claimed(row, token)).collect())
}

#[derive(FromQueryResult)]
struct Candidate {
    id: i64,
    endpoint_id: i64,
}

/// Of each endpoint what has been due for longest.
async fn candidates(tx: &Tx, wanted: &[(i64, usize)]) -> Result<BTreeSet<i64>, StepError> {
    let now = tx.dialect().now_text();
    let part = format!(
        "SELECT * FROM (SELECT id, endpoint_id FROM callback_events WHERE endpoint_id = ? AND status = ? \
         AND next_run_at <= {now} ORDER BY next_run_at, id LIMIT {PER_ENDPOINT}) AS due"
    );
    let values = wanted
        .iter()
        .map(|(endpoint, _)| -> [Value; 2] { [(*endpoint).into(), CallbackStatus::Pending.as_str().into()] });
    let found: Vec<Candidate> = Sql::new("", []).each(&part, " UNION ALL ", values).all(tx).await?;
    let mut left: HashMap<i64, usize> = wanted.iter().copied().collect();
    let mut ids = BTreeSet::new();
    for Candidate { id, endpoint_id } in found {
        let left = left.entry(endpoint_id).or_default();
        // The last endpoint is asked again, up to the next power of two.
        if *left > 0 && ids.insert(id) {
            *left -= 1;
        }
    }
    Ok(ids)
}

fn claimed(row: Model, token: &Arc<str>) -> ClaimedCallback {
    let trigger = CallbackTrigger::of_request(row.requested.as_deref());
    ClaimedCallback {
        endpoint: row.endpoint_id,
        id: row.public_id,
        url: row.url,
        payload: row.payload,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        trigger,
        row: row.id,
        token: Arc::clone(token),
    }
}
