//! The publisher: hands batches to the task that owns the publishing channel, and keeps that task on a live connection.

use std::{sync::Arc, time::Instant};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Duration, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    job::{Entrance, Job},
    link::{Links, next_link, some},
    session::{Ended, Session},
};
use crate::{Options, Outgoing, Published, Topology};

/// Publishes through the one publishing channel.
#[derive(Debug)]
pub(crate) struct Publisher {
    topology: Arc<Topology>,
    ready: watch::Receiver<Option<mpsc::Sender<Job>>>,
    blocked: watch::Receiver<bool>,
    confirm_timeout: Duration,
}

impl Publisher {
    pub(super) fn start(
        links: Links,
        topology: &Arc<Topology>,
        options: &Arc<Options>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let ((open, ready), (blocked, is_blocked)) = (watch::channel(None), watch::channel(false));
        let entrance = Entrance { open, blocked };
        tasks.spawn(drive(links, Arc::clone(topology), Arc::clone(options), entrance, stop.clone()));
        let confirm_timeout = options.confirm_timeout;
        Self { topology: Arc::clone(topology), ready, blocked: is_blocked, confirm_timeout }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        *self.blocked.borrow()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.borrow().is_some()
    }

    pub(crate) async fn ready(&self) {
        some(&mut self.ready.clone()).await;
    }

    /// Sorts out what must not be sent, publishes the rest and puts the outcomes back in order.
    pub(crate) async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Published> {
        let mut outcomes = vec![None; batch.len()];
        let mut accepted = Vec::with_capacity(batch.len());
        for (outcome, message) in outcomes.iter_mut().zip(batch) {
            match message.refusal(self.topology.exchange()) {
                Some(reason) => *outcome = Some(Published::Returned { reason }),
                None => accepted.push(message),
            }
        }
        let mut published = self.publish_accepted(accepted).await.into_iter();
        let in_order = outcomes.into_iter().map(|outcome| outcome.or_else(|| published.next()));
        in_order.map(|outcome| outcome.unwrap_or(Published::Unknown)).collect()
    }

    async fn publish_accepted(&self, batch: Vec<Outgoing>) -> Vec<Published> {
        let count = batch.len();
        let Some(jobs) = self.ready.borrow().clone() else {
            return vec![Published::NotSent; count];
        };
        if count == 0 {
            return Vec::new();
        }
        let (reply, outcomes) = oneshot::channel();
        let job = Job { batch, reply, send_until: Instant::now() + self.confirm_timeout };
        match timeout(self.confirm_timeout, jobs.send(job)).await {
            // The task answers in time: what it cannot send by `send_until`, and what is not confirmed in time after.
            Ok(Ok(())) => outcomes.await.unwrap_or_else(|_| vec![Published::Unknown; count]),
            Ok(Err(_)) | Err(_) => vec![Published::NotSent; count],
        }
    }
}

/// Runs a publishing session on each connection in turn.
async fn drive(
    mut links: Links,
    topology: Arc<Topology>,
    options: Arc<Options>,
    entrance: Entrance,
    stop: CancellationToken,
) {
    while let Some(link) = next_link(&mut links, &stop).await {
        let _in_use = link.in_use();
        match Session::open(&link, &topology, &options).await {
            Ok(session) => match session.run(&entrance, &stop).await {
                Ended::Stopped => return,
                Ended::Lost(reason) => link.health().fail(reason),
            },
            Err(failure) => link.health().fail(failure.to_string()),
        }
    }
}
