//! SMSCs that accept, throttle, keep silent or cut on demand, report and keep a journal.
//!
//! Each is a TCP port with one account. A connection is one task, which reads, decides and writes; what they share is
//! behind a lock that is never held while anything is waited for.

mod behaviour;
mod deliveries;
mod journal;
mod options;
mod outbox;
mod rate;
mod receipts;
mod routes;
mod session;
mod shared;
mod socket;
mod state;
mod stats;
mod tls;

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use behaviour::{SmscBehaviour, SmscMode, SmscRule};
pub use journal::{SmscAddress, SmscBindMode, SmscDecision, SmscEnd, SmscEntry, SmscEvent, SmscSar, SmscSubmit};
pub use options::SmscOptions;
pub use receipts::{ReceiptForm, SmscReceipt};
pub(crate) use routes::{Smscs, configure};
pub use stats::SmscStats;
pub use tls::{local_certificate, local_tls};

use crate::{InvalidBehaviour, StartError};
use shared::Shared;

/// A running SMSC. Dropping it stops it without waiting for that.
#[derive(Debug)]
pub struct Smsc {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    end: CancellationToken,
    _end_when_dropped: DropGuard,
}

impl Smsc {
    /// Starts on `address` (port 0 takes any free one); accepts everything until it is told otherwise. Must be called
    /// inside a tokio runtime, which serves it.
    ///
    /// # Errors
    /// When the journal file cannot be opened or the address cannot be listened on.
    pub fn start(address: SocketAddr, options: SmscOptions) -> Result<Self, StartError> {
        let path = options.journal.clone().unwrap_or_default();
        let shared = Shared::new(options).map_err(|source| StartError::Journal { path, source })?;
        let listen = socket::listen(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listen.map_err(|source| StartError::Listen { address, source })?;
        let (shared, tasks, end) = (Arc::new(shared), TaskTracker::new(), CancellationToken::new());
        let accept = socket::accept(listener, Arc::clone(&shared), tasks.clone(), end.clone());
        tasks.spawn(end.clone().run_until_cancelled_owned(accept));
        Ok(Self { address, shared, tasks, _end_when_dropped: end.clone().drop_guard(), end })
    }

    /// The address it listens on, with the real port; another SMSC may be started there after [`stop`](Self::stop).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `smpp://esme1:secret@127.0.0.1:PORT`, or `smpps` with TLS: its URL in an `OPERATORS` list.
    pub fn url(&self) -> String {
        let options = &self.shared.options;
        let scheme = if options.tls.is_some() { "smpps" } else { "smpp" };
        let (user, secret) = (encoded(&options.system_id), encoded(&options.password));
        format!("{scheme}://{user}:{secret}@{}", self.address)
    }

    /// Sets how it answers from now on, and starts counting submits anew. What waits for an answer or a receipt still
    /// gets it.
    ///
    /// # Errors
    /// When a status of the behaviour is that of success.
    pub fn set_behaviour(&self, behaviour: impl Into<SmscBehaviour>) -> Result<(), InvalidBehaviour> {
        self.shared.set_behaviour(behaviour.into())
    }

    /// All entries in memory, oldest first.
    pub fn journal(&self) -> Vec<SmscEntry> {
        self.shared.journal(0)
    }

    /// The entries in memory whose `seq` is above `seq`, oldest first.
    pub fn journal_after(&self, seq: u64) -> Vec<SmscEntry> {
        self.shared.journal(seq)
    }

    /// Forgets entries and counts.
    pub fn clear_journal(&self) {
        self.shared.clear_journal();
    }

    /// The counts so far.
    pub fn stats(&self) -> SmscStats {
        self.shared.stats()
    }

    /// Asks the clients of all bound sessions to go. Each is closed once it agreed and has its answers, or after 5 s.
    pub fn unbind_all(&self) {
        self.shared.unbind_all();
    }

    /// Closes all connections at once. New ones are taken.
    pub fn cut_all(&self) {
        self.shared.cut_all();
    }

    /// Closes the port and every connection, and forgets receipts that wait. Once it returns, nothing is accepted or
    /// sent any more.
    pub async fn stop(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Percent-encoded for the user part of a URL.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_encoded_in_urls() {
        assert_eq!(encoded("esme-1"), "esme-1");
        assert_eq!(encoded("a:b@c/é"), "a%3Ab%40c%2F%C3%A9");
    }
}
