//! Events claimed by their row locks: selected, published by the caller, recorded, and committed as one transaction.
//!
//! One write an event in place of two, and nothing to rescue: where a relay dies its locks go with its session. Not on SQLite,
//! whose one connection everybody needs meanwhile; there a claim is a lease.

use std::{collections::BTreeMap, time::Duration};

use domain::{Lane, OutboxStatus};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};

use super::{
    claims::{ClaimToken, ClaimedEvent, OutboxEventId, claimed, next_in_turn, shortened},
    rows::out_of_line,
};
use crate::{
    Database, Error, Query,
    engine::{StepError, Tries, Tx, dialect::Dialect, statements::padded},
    entity::outbox_event::{Column, Entity},
};

/// Events under the locks of an open transaction. Dropped, it lets go of them, unchanged.
pub struct Held {
    tx: Tx,
    events: Vec<ClaimedEvent>,
}

/// What became of held events. Those that are not named stay as they are and can be claimed at once.
#[derive(Debug, Default)]
pub struct HeldOutcome {
    /// The broker confirmed these.
    pub published: Vec<OutboxEventId>,
    /// Failed tries: each waits so long and remembers why.
    pub later: Vec<(OutboxEventId, Duration, String)>,
    /// Of a kind that this release does not know, with how long they wait.
    pub unknown: Option<(Vec<OutboxEventId>, Duration)>,
    /// To be given up next: until then they are under a lease, by this token and for this time.
    pub to_give_up: Option<(Vec<OutboxEventId>, ClaimToken, Duration)>,
}

impl Held {
    /// The events.
    pub fn events(&self) -> &[ClaimedEvent] {
        &self.events
    }

    /// Records what became of them and lets go.
    ///
    /// # Errors
    /// When that could not be stored: then nothing was, unless the connection broke during the commit, and all of them will be
    /// published again.
    pub async fn record(self, database: &Database, outcome: &HeldOutcome) -> Result<(), Error> {
        let Self { tx, .. } = self;
        let recorded = async {
            for (ids, change) in outcome.changes(tx.dialect()) {
                update(&tx, &ids, change).await?;
            }
            tx.commit().await.map_err(StepError::Commit)?.keep();
            Ok(())
        };
        database.bounded(Query::OutboxProcessed, Box::pin(recorded)).await
    }
}

/// Columns with what they are set to.
type Change = Vec<(Column, SimpleExpr)>;

impl HeldOutcome {
    fn changes(&self, dialect: Dialect) -> Vec<(Vec<OutboxEventId>, Change)> {
        let status = |status: OutboxStatus| (Column::Status, Expr::value(status.as_str()));
        let mut changes =
            vec![(self.published.clone(), vec![status(OutboxStatus::Processed), (Column::NextRunAt, dialect.now())])];
        // Most fail for the same reason: a queue that is not there.
        let mut later: BTreeMap<(Duration, &str), Vec<OutboxEventId>> = BTreeMap::new();
        for (id, delay, error) in &self.later {
            later.entry((*delay, error)).or_default().push(*id);
        }
        changes.extend(later.into_iter().map(|((delay, error), ids)| {
            let change = vec![
                (Column::NextRunAt, dialect.after(delay)),
                (Column::LastError, Expr::value(shortened(error))),
                (Column::Attempts, Expr::col(Column::Attempts).add(1)),
            ];
            (ids, change)
        }));
        changes.extend(self.unknown.iter().map(|(ids, delay)| {
            (ids.clone(), vec![(Column::NextRunAt, dialect.after(*delay)), (Column::Turn, out_of_line())])
        }));
        changes.extend(self.to_give_up.iter().map(|(ids, token, lease)| {
            let change = vec![
                status(OutboxStatus::Processing),
                (Column::ClaimedBy, Expr::value(token.as_str())),
                (Column::ClaimedUntil, dialect.after(*lease)),
            ];
            (ids.clone(), change)
        }));
        changes.retain(|(ids, _)| !ids.is_empty());
        changes
    }
}

impl Database {
    /// Whether claims are held by locks here; otherwise they are leases.
    pub fn holds_claims(&self) -> bool {
        self.dialect() == Dialect::MySql
    }

    /// Holds the waiting events of a lane whose turn it is, at most `limit`; `None` where none waits. Nobody else sees them meanwhile,
    /// and nobody waits for them. [`HELD_AT_MOST`](crate::HELD_AT_MOST) is how long that may take.
    pub async fn hold_events(&self, lane: Lane, limit: u64) -> Result<Option<Held>, Error> {
        let hold = async {
            let mut tries = Tries::new(self);
            loop {
                let tx = tries.begin().await?;
                match next_in_turn(&tx, lane, limit).await {
                    Ok(rows) if rows.is_empty() => {
                        if tries.finish(tx, Ok(())).await?.is_some() {
                            return Ok(None);
                        }
                    }
                    Ok(rows) => return Ok(Some(Held { tx, events: rows.into_iter().map(claimed).collect() })),
                    Err(error) => {
                        tries.finish::<()>(tx, Err(error)).await?;
                    }
                }
            }
        };
        self.bounded(Query::OutboxClaim, Box::pin(hold)).await
    }
}

async fn update(tx: &Tx, ids: &[OutboxEventId], change: Change) -> Result<(), StepError> {
    let mut update = Entity::update_many().col_expr(Column::UpdatedAt, tx.dialect().now());
    for (column, value) in change {
        update = update.col_expr(column, value);
    }
    let updated = update.filter(Column::Id.is_in(padded(ids.iter().map(|id| id.stored())))).exec(tx).await?;
    // They are locked, so nobody can have changed or deleted one.
    debug_assert_eq!(updated.rows_affected, ids.len() as u64, "held events are there");
    Ok(())
}
