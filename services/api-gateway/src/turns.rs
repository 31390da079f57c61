//! The places of new messages in the order of their lanes, so that no customer's backlog holds up the others.
//!
//! Each gateway keeps its own: clients that use several get the same place at each of them, as their requests are
//! spread evenly.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use domain::{CustomerId, FairOrder, Lane, MessageType, PerLane, Recipients, SegmentCount, Turn};

/// The orders of both lanes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    orders: Arc<PerLane<Mutex<FairOrder>>>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { orders: Arc::new(PerLane::from_fn(|_| Mutex::new(FairOrder::starting_at(now())))) }
    }

    /// The turn of a new message.
    pub(crate) fn take(
        &self,
        customer: CustomerId,
        kind: MessageType,
        recipients: &Recipients,
        segments: SegmentCount,
    ) -> Turn {
        self.orders[Lane::of(kind)].lock().unwrap_or_else(PoisonError::into_inner).take(customer, recipients, segments)
    }

    /// The lowest turn that waits in the lane, `None` where nothing does.
    pub(crate) fn move_to(&self, lane: Lane, lowest: Option<Turn>) {
        self.orders[lane].lock().unwrap_or_else(PoisonError::into_inner).move_to(lowest.unwrap_or_else(now));
    }
}

#[expect(clippy::disallowed_methods, reason = "where nothing waits, turns begin at this clock")]
fn now() -> Turn {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Turn::at(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
