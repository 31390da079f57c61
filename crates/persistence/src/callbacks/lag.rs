//! How long callbacks wait, by how their endpoints fare: only what waits for a working one is late.

use std::time::Duration;

use domain::CallbackStatus;
use sea_orm::FromQueryResult;

use crate::{
    Database, Error, Query,
    engine::{reading, sql::Sql},
};

/// Endpoints that one look goes through.
const ENDPOINTS: u32 = 10_000;

/// For how long the oldest due event waits, by the state of its endpoint; `None` where nothing is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallbackLags {
    /// Of endpoints that took what was sent last.
    pub working: Option<Duration>,
    /// Of those that did not.
    pub failing: Option<Duration>,
    /// Of those that are told nothing.
    pub disabled: Option<Duration>,
}

#[derive(FromQueryResult)]
struct Row {
    working: Option<i64>,
    failing: Option<i64>,
    disabled: Option<i64>,
}

impl Database {
    /// Looks at the oldest due event of each of the first 10,000 endpoints.
    pub async fn callback_lags(&self) -> Result<CallbackLags, Error> {
        reading!(self, Query::CallbackLag, |db| async {
            let now = db.dialect().now_text();
            let age = db.dialect().millis_text("v.next_run_at");
            // Asked of each endpoint by the index of events; a join would read all that is due. MySQL sorts unless it is asked for the whole
            // order of the index.
            let text = format!(
                "SELECT MAX(CASE WHEN enabled AND failures = 0 THEN age END) AS working, \
                 MAX(CASE WHEN enabled AND failures > 0 THEN age END) AS failing, \
                 MAX(CASE WHEN NOT enabled THEN age END) AS disabled \
                 FROM (SELECT e.enabled, e.failures, (SELECT {age} FROM callback_events v WHERE v.endpoint_id = e.id \
                 AND v.status = ? AND v.next_run_at <= {now} ORDER BY v.endpoint_id, v.status, v.next_run_at LIMIT 1) AS age \
                 FROM callback_endpoints e WHERE e.id > 0 ORDER BY e.id LIMIT {ENDPOINTS}) AS lags"
            );
            let row: Vec<Row> = Sql::new(text, [CallbackStatus::Pending.as_str().into()]).all(db).await?;
            Ok(row.into_iter().next().map(CallbackLags::from).unwrap_or_default())
        })
        .await
    }
}

impl From<Row> for CallbackLags {
    fn from(row: Row) -> Self {
        let lag = |millis: Option<i64>| millis.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
        Self { working: lag(row.working), failing: lag(row.failing), disabled: lag(row.disabled) }
    }
}
