//! Who an SMSC is, and what it keeps.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::ServerConfig;

/// What stays the same as long as an SMSC runs.
#[derive(Clone)]
pub struct SmscOptions {
    /// What it calls itself in answers to binds and in its journal.
    pub name: String,
    /// The user of its only account.
    pub system_id: String,
    /// The account's secret.
    pub password: String,
    /// Added to the numbers of which message ids are made: an SMSC that starts again with a larger one gives no id
    /// twice.
    pub first_id: u64,
    /// A file to which every entry is appended as one line of JSON.
    pub journal: Option<PathBuf>,
    /// Most journal entries in memory, most recipients whose submits are counted, and most receipts that wait. A
    /// million entries need about 500 MiB.
    pub capacity: usize,
    /// What makes it speak TLS from the first byte on (`smpps`), such as [`local_tls`](crate::local_tls).
    pub tls: Option<Arc<ServerConfig>>,
}

impl Default for SmscOptions {
    /// `smsc` with the account `esme1`, `secret`, without a file or TLS.
    fn default() -> Self {
        Self {
            name: "smsc".to_owned(),
            system_id: "esme1".to_owned(),
            password: "secret".to_owned(),
            first_id: 0,
            journal: None,
            capacity: 1_000_000,
            tls: None,
        }
    }
}

impl fmt::Debug for SmscOptions {
    /// Without the account's secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, system_id, password: _, first_id, journal, capacity, tls } = self;
        let mut output = f.debug_struct("SmscOptions");
        output.field("name", name).field("system_id", system_id).field("first_id", first_id);
        output.field("journal", journal).field("capacity", capacity).field("tls", &tls.is_some());
        output.finish_non_exhaustive()
    }
}
