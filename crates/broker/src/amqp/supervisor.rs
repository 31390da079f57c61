//! Keeps one connection up: connect, declare, hand it out, wait until it is lost, again. For ever.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    call::{Caller, Failure},
    declare,
    link::Link,
    preflight,
};
use crate::{Options, Topology, series, uri::Server};

/// A connection that lived this long was a good one: the next failure starts the backoff anew.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// What a connection is for. They are two, because a broker short of memory stops reading from those that publish.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Publisher,
    Consumer,
}

impl Purpose {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Consumer => "consumer",
        }
    }
}

pub(super) struct Supervisor {
    pub(super) purpose: Purpose,
    pub(super) server: Arc<Server>,
    pub(super) topology: Arc<Topology>,
    pub(super) options: Arc<Options>,
    pub(super) caller: Caller,
    pub(super) links: watch::Sender<Option<Weak<Link>>>,
    pub(super) stop: CancellationToken,
}

impl Supervisor {
    pub(super) async fn run(self) {
        let connection = self.purpose.as_str();
        series::connected(connection, false);
        let (mut failures, mut ever_connected) = (0, false);
        while let Some(outcome) = self.until_stopped(self.connect()).await {
            match outcome {
                Err(failure) => {
                    let (address, attempt) = (self.server.address(), failures + 1);
                    tracing::warn!(outage = "broker", connection, address, attempt, %failure, "cannot connect to the broker");
                }
                Ok(link) => {
                    announce(connection, ever_connected);
                    ever_connected = true;
                    if self.serve(&Arc::new(link)).await > SETTLED_AFTER {
                        failures = 0;
                    }
                }
            }
            let wait = self.options.reconnect.delay(failures, &mut rand::rng()).unwrap_or(SETTLED_AFTER);
            failures = failures.saturating_add(1);
            if self.until_stopped(sleep(wait)).await.is_none() {
                break;
            }
        }
    }

    async fn connect(&self) -> Result<Link, Failure> {
        let name = format!("{} {}", self.options.client_name, self.purpose.as_str());
        let (step, limit) = ("asking for a connection", self.options.step_timeout);
        let asking = timeout(limit, preflight::ask(&self.server, &name));
        asking.await.map_err(|_| Failure::TimedOut { step, limit })??;
        let mut arguments = self.server.arguments();
        arguments.heartbeat(self.options.heartbeat()).connection_name(&name);
        let link = Link::open(arguments, self.caller.clone()).await?;
        declare::declare(&link, &self.topology).await?;
        Ok(link)
    }

    /// Hands the connection out until it is lost or the broker stops; returns how long it lived.
    async fn serve(&self, link: &Arc<Link>) -> Duration {
        let (connection, since) = (self.purpose.as_str(), Instant::now());
        series::connected(connection, true);
        self.links.send_replace(Some(Arc::downgrade(link)));
        let stopped = self.until_stopped(link.lost()).await.is_none();
        if stopped {
            link.close(self.options.confirm_timeout + self.options.step_timeout).await;
        } else {
            let reason = link.health().reason();
            tracing::warn!(outage = "broker", connection, reason, "lost the connection to the broker");
        }
        self.links.send_replace(None);
        series::connected(connection, false);
        since.elapsed()
    }

    async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            outcome = work => Some(outcome),
        }
    }
}

fn announce(connection: &'static str, again: bool) {
    if again {
        series::reconnected();
        tracing::info!(connection, "reconnected to the broker");
    } else {
        tracing::info!(connection, "connected to the broker");
    }
}
