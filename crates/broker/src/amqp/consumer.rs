//! A consumer: a task that keeps a subscription on whatever connection there is, and hands deliveries to its owner.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    acker::Acker,
    link::{Link, Links, next_link},
    subscription::{Served, Subscription},
};
use crate::message::Received;

/// The owner's side.
#[derive(Debug)]
pub(crate) struct Consumer {
    deliveries: mpsc::Receiver<Received<Acker>>,
    stop: CancellationToken,
    /// A consumer that is dropped stops.
    _stop_on_drop: DropGuard,
}

impl Consumer {
    pub(super) fn start(
        queue: &str,
        prefetch: u16,
        links: Links,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let stop = shutdown.child_token();
        let (out, deliveries) = mpsc::channel(prefetch.into());
        let driver =
            Driver { queue: queue.to_owned(), prefetch, links, stop: stop.clone(), shutdown: shutdown.clone() };
        tasks.spawn(driver.run(out));
        Self { deliveries, stop: stop.clone(), _stop_on_drop: stop.drop_guard() }
    }

    pub(crate) async fn next(&mut self) -> Option<Received<Acker>> {
        loop {
            let delivery = self.deliveries.recv().await?;
            // Those of a lost channel come again; handling them would be done twice for nothing.
            if !delivery.acker.is_stale() {
                return Some(delivery);
            }
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        // The task closes its end when the broker has cancelled.
        while let Some(delivery) = self.deliveries.recv().await {
            delivery.acker.give_back();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.deliveries.close();
        while let Ok(delivery) = self.deliveries.try_recv() {
            delivery.acker.give_back();
        }
    }
}

/// The task's side.
struct Driver {
    queue: String,
    prefetch: u16,
    links: Links,
    stop: CancellationToken,
    shutdown: CancellationToken,
}

impl Driver {
    async fn run(mut self, out: mpsc::Sender<Received<Acker>>) {
        while let Some(link) = next_link(&mut self.links, &self.stop).await {
            let _in_use = link.in_use();
            let Some(mut subscription) = self.subscribe(&link).await else { continue };
            match subscription.serve(&out, &self.stop).await {
                Served::Lost(reason) => link.health().fail(reason),
                Served::Stopped => {
                    subscription.cancel().await;
                    drop(out);
                    subscription.finish(&self.shutdown).await;
                    return;
                }
            }
        }
    }

    async fn subscribe(&self, link: &Arc<Link>) -> Option<Subscription> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            opened = Subscription::open(link, &self.queue, self.prefetch) => match opened {
                Ok(subscription) => Some(subscription),
                Err(failure) => {
                    link.health().fail(format!("consuming {}: {failure}", self.queue));
                    None
                }
            },
        }
    }
}
