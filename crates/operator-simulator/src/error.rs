//! Why nothing was started.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal's file cannot be opened.
    #[error("could not open the journal file {path} for appending")]
    Journal {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("could not listen on {address}; choose another address, or port 0 for any")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no client to post receipts with.
    #[error("could not set up the HTTP client that posts receipts")]
    Client(#[source] reqwest::Error),
}
