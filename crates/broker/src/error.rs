//! What can be wrong with the settings of a broker. Everything later (a lost connection, a refused publish) is an
//! outcome, not an error: the broker repairs itself.

use std::path::PathBuf;

/// Why a broker could not be set up. No text here ever holds the URI or the password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name cannot be used for an exchange or a queue.
    #[error("cannot use {name:?} as the name of the {of}: {expected}")]
    Name {
        /// What was to be named.
        of: &'static str,
        /// The name given.
        name: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// The URI of the broker cannot be parsed.
    #[error("cannot parse the broker uri: {problem}; expected amqp://user:password@host:port/vhost (or amqps://)")]
    Uri {
        /// What is wrong, without quoting the URI.
        problem: String,
    },
    /// The file of `cacertfile=` in the URI cannot be used.
    #[error("cannot read certificates from {}: {problem}; expected a PEM file with the CA that signed the broker's", path.display())]
    CaCertificate {
        /// The file named in the URI.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    pub(crate) fn uri(problem: impl Into<String>) -> Self {
        Self::Uri { problem: problem.into() }
    }
}
