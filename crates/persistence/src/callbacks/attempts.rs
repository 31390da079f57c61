//! The log of attempts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CallbackEventId, CustomerId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::events;
use crate::{
    Database, Error, Query,
    engine::reading,
    entity::callback_attempt::{Column, Entity, Model},
};

/// Attempts of an event that are told of.
const SHOWN: u64 = 100;

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAttempt {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub duration: Duration,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response: Vec<u8>,
    /// Why it was made.
    pub trigger: String,
}

impl Database {
    /// The newest attempts for an event, newest first, 100 at most; `None` where the customer has no such event.
    pub async fn callback_attempts(
        &self,
        customer: CustomerId,
        id: &CallbackEventId,
    ) -> Result<Option<Vec<CallbackAttempt>>, Error> {
        reading!(self, Query::CallbackAttempts, |db| async {
            let Some(event) = events::row_of(db, customer, id).await? else { return Ok(None) };
            let query = Entity::find().filter(Column::EventId.eq(event));
            let rows = query.order_by_desc(Column::EventId).order_by_desc(Column::Id).limit(SHOWN).all(db).await?;
            Ok(Some(rows.into_iter().map(attempt).collect()))
        })
        .await
    }
}

fn attempt(row: Model) -> CallbackAttempt {
    CallbackAttempt {
        at: row.at.and_utc(),
        duration: Duration::from_millis(u64::try_from(row.duration_ms).unwrap_or(0)),
        status: row.status_code.and_then(|status| u16::try_from(status).ok()),
        error: row.error,
        response: row.response,
        trigger: row.trigger,
    }
}
