//! The way into the publishing task: the batches it takes, and whether it takes any.

use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use crate::{Outgoing, Published};

/// Batches that wait while another is being sent; callers beyond wait themselves.
pub(super) const WAITING_BATCHES: usize = 64;

/// A batch on its way to the publishing task. If the reply is dropped, the fate of the batch is unknown.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) batch: Vec<Outgoing>,
    pub(super) reply: oneshot::Sender<Vec<Published>>,
    /// What is not sent by then is not sent at all.
    pub(super) send_until: Instant,
}

/// What the publishing task lets others see.
#[derive(Debug)]
pub(super) struct Entrance {
    /// The way in; there is one while it can publish.
    pub(super) open: watch::Sender<Option<mpsc::Sender<Job>>>,
    /// Whether the broker takes nothing, although it is there. It outlasts a connection, for an alarm does.
    pub(super) blocked: watch::Sender<bool>,
}

impl Entrance {
    pub(super) fn open(&self, way_in: &mpsc::Sender<Job>) {
        self.open.send_if_modified(|open| {
            let changes = open.is_none();
            if changes {
                *open = Some(way_in.clone());
            }
            changes
        });
        if self.blocked.send_if_modified(std::mem::take) {
            tracing::info!("the broker takes messages again");
        }
    }

    pub(super) fn close(&self) {
        self.open.send_if_modified(|open| open.take().is_some());
    }

    /// Closed, and known to be because the broker takes nothing.
    pub(super) fn block(&self) {
        self.close();
        if self.blocked.send_if_modified(|blocked| !std::mem::replace(blocked, true)) {
            tracing::warn!(
                "the broker has blocked publishing: it does not confirm, as when it is short of memory or disk"
            );
        }
    }
}
