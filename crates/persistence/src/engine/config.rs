//! Where the database is and how many connections to keep.

use std::time::Duration;

use secrecy::SecretString;

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `mysql://user:password@host:port/name` or `sqlite://path`.
    pub url: SecretString,
    /// Most open connections (MySQL; SQLite always has one writer).
    pub max_connections: u32,
    /// Connections older than this are replaced.
    pub max_lifetime: Duration,
    /// How long one operation may take, with the wait for a connection and its retries.
    pub operation_timeout: Duration,
}

impl DatabaseConfig {
    /// The defaults for `url`: 50 connections at most, 300 s of life, operations of at most 5 s.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 50,
            max_lifetime: Duration::from_mins(5),
            operation_timeout: Duration::from_secs(5),
        }
    }
}
