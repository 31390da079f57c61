//! A signal that events are waiting: it saves the wait for the next poll, and nothing depends on it.

use std::sync::Arc;

use domain::MessageType;
use persistence::Lane;
use tokio::sync::Notify;

/// Wakes one idle claimer of a lane. Clones share the signal.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    express: Arc<Notify>,
    normal: Arc<Notify>,
}

impl Wake {
    /// Tells that a message of this type was accepted.
    pub fn signal(&self, kind: MessageType) {
        self.of(Lane::of(kind)).notify_one();
    }

    pub(crate) fn of(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::Express => &self.express,
            Lane::Normal => &self.normal,
        }
    }
}
