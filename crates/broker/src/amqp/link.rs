//! One live connection, shared by its supervisor and the tasks that use it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use amqprs::{
    channel::Channel,
    connection::{Connection, OpenConnectionArguments},
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use super::{
    call::{Caller, Failure},
    callback::{ChannelEvent, ChannelEvents, ConnectionEvents, Health},
};

/// How often the connection is asked whether it is open, in case its end was missed.
const LIVENESS_CHECK: Duration = Duration::from_secs(1);

/// How long the broker may take to agree to the end of a connection; during an alarm it never does.
const GOODBYE: Duration = Duration::from_secs(2);

/// A connection that is, or was, open.
#[derive(Debug)]
pub(super) struct Link {
    connection: OpenConnection,
    caller: Caller,
    health: Health,
    users: TaskTracker,
}

/// amqprs connections have no `Debug`.
struct OpenConnection(Connection);

impl std::fmt::Debug for OpenConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl Link {
    pub(super) async fn open(arguments: OpenConnectionArguments, caller: Caller) -> Result<Self, Failure> {
        let health = Health::new();
        let events = ConnectionEvents(health.clone());
        let opening = async move {
            let connection = Connection::open(&arguments).await?;
            connection.register_callback(events).await?;
            Ok(connection)
        };
        let connection = OpenConnection(caller.call_or_abort("opening the connection", opening).await?);
        Ok(Self { connection, caller, health, users: TaskTracker::new() })
    }

    /// Opens a channel whose events can be read from the receiver; more than `events` of them make the channel wait.
    pub(super) async fn open_channel(&self, events: usize) -> Result<(Channel, mpsc::Receiver<ChannelEvent>), Failure> {
        let (sender, receiver) = mpsc::channel(events);
        let connection = self.connection.0.clone();
        let opening = async move {
            let channel = connection.open_channel(None).await?;
            channel.register_callback(ChannelEvents(sender)).await?;
            Ok(channel)
        };
        Ok((self.caller.call("opening a channel", opening).await?, receiver))
    }

    /// When the server closes a channel, the call waiting on it only learns that nobody will answer; the reason came
    /// as an event just before.
    #[expect(clippy::unused_self, reason = "reads as a property of the link's channels")]
    pub(super) fn refusal_behind(&self, failure: Failure, events: &mut mpsc::Receiver<ChannelEvent>) -> Failure {
        match (failure, events.try_recv()) {
            (Failure::Amqp { step, .. }, Ok(ChannelEvent::Closed { code, text })) => {
                Failure::Refused { step, code, text }
            }
            (failure, _) => failure,
        }
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// While it is held, an orderly end of the connection waits.
    pub(super) fn in_use(&self) -> TaskTrackerToken {
        self.users.token()
    }

    /// Resolves when the connection is lost or was given up by one of its users.
    pub(super) async fn lost(&self) {
        tokio::select! {
            () = self.health.failed() => {}
            () = self.closed() => self.health.fail("the connection was closed"),
        }
    }

    async fn closed(&self) {
        // The notification is missed when the connection ends before it is listened to, so the state is looked at too.
        while self.connection.0.is_open() {
            tokio::select! {
                _ = self.connection.0.listen_network_io_failure() => return,
                () = sleep(LIVENESS_CHECK) => {}
            }
        }
    }

    /// Ends the connection in order: waits for its users (at most `patience`), then says good-bye.
    pub(super) async fn close(&self, patience: Duration) {
        self.users.close();
        if timeout(patience, self.users.wait()).await.is_err() {
            tracing::warn!("closing the broker connection under tasks that still use it");
        }
        let connection = self.connection.0.clone();
        let closing = self.caller.call_or_abort("closing the connection", connection.close());
        if !matches!(timeout(GOODBYE, closing).await, Ok(Ok(()))) {
            tracing::debug!("the broker connection was not closed in order");
        }
    }
}

/// The connection of one purpose at this moment. Only the supervisor and the users at work keep it alive: amqprs says
/// good-bye when the last of them drops it, and needs the runtime for that.
pub(super) type Links = watch::Receiver<Option<Weak<Link>>>;

/// Waits for a connection that has not failed; `None` when `stop` is cancelled or there will never be one again.
pub(super) async fn next_link(links: &mut Links, stop: &CancellationToken) -> Option<Arc<Link>> {
    while !stop.is_cancelled() {
        let link = links.borrow_and_update().as_ref().and_then(Weak::upgrade);
        if let Some(link) = link.filter(|link| !link.health.is_failed()) {
            return Some(link);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            changed = links.changed() => changed.ok()?,
        }
    }
    None
}

/// Waits until there is a value; for ever when there will never be one again.
pub(super) async fn some<T>(values: &mut watch::Receiver<Option<T>>) {
    if values.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}
