//! A signal that events are waiting: it saves the wait for the next poll, and nothing depends on it.

use std::sync::Arc;

use domain::{Lane, PerLane};
use tokio::sync::Notify;

/// Wakes one idle claimer of a lane. Clones share the signal.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    lanes: Arc<PerLane<Notify>>,
}

impl Wake {
    /// Tells that an event was stored in this lane.
    pub fn signal(&self, lane: Lane) {
        self.lanes[lane].notify_one();
    }

    pub(crate) fn of(&self, lane: Lane) -> &Notify {
        &self.lanes[lane]
    }
}
