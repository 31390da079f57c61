//! Callbacks to customers: what is due is claimed by endpoint, signed, sent, and what became of it is recorded.
//!
//! A customer's slow endpoint holds up nothing but itself: it has eight requests under way at most, and is let alone while it fails.
//! An event is sent at least once: a relay that ends leaves it under a lease, and it is sent again with the same id.

mod dispatcher;
mod room;
mod send;
mod sweeper;
mod under_way;

use callbacks::{CallbackClient, CallbackConfig, ClientError, DEFAULT_TIMEOUT};
use persistence::Database;
use service_kit::{Scope, health::Finding};

use self::{dispatcher::Dispatcher, send::Sender};
pub(crate) use self::{send::RESULTS, sweeper::ENDPOINT_STATES};
use crate::settings::RelayConfig;

/// Starts what sends callbacks and what sweeps after them. Without a master key nothing is sent.
pub(crate) fn start(config: &CallbackConfig, database: &Database, scope: &Scope) {
    scope.spawn("callback sweeper", sweeper::run(database.clone(), scope.stop.clone()));
    let Some(keys) = config.keys.clone() else {
        tracing::info!("no callbacks are sent: CALLBACK_MASTER_KEY is not set");
        return;
    };
    let (allowed, allow_http) = (config.allowed.clone(), config.allow_http);
    let (database, stop) = (database.clone(), scope.stop.clone());
    scope.spawn("callbacks", async move {
        let client = CallbackClient::new(allowed, allow_http, DEFAULT_TIMEOUT)?;
        Dispatcher::new(database, Sender { client, keys, allow_http }).run(stop).await;
        Ok::<(), ClientError>(())
    });
}

/// Whether callbacks can be sent that somebody waits for.
#[derive(Clone)]
pub(crate) struct Readiness(Database);

impl Readiness {
    /// Of a process that would send callbacks but has no master key; any other has nothing to be asked.
    pub(crate) fn of(config: &RelayConfig, database: &Database) -> Option<Self> {
        let has_no_key = config.callbacks.as_ref().is_some_and(|callbacks| callbacks.keys.is_none());
        has_no_key.then(|| Self(database.clone()))
    }

    pub(crate) async fn find(self) -> Finding {
        match self.0.has_callback_endpoints().await {
            Ok(false) => Finding::OK,
            Ok(true) => Finding::degraded("no_master_key", false),
            // The database's own check tells of it.
            Err(_) => Finding::UNAVAILABLE,
        }
    }
}
