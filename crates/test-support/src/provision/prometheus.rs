//! The Prometheus server and its `promtool`.

use std::path::PathBuf;

use anyhow::Context;

use super::{apt, command::find};

/// The binaries of Debian's package `prometheus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusBinaries {
    /// The server.
    pub server: PathBuf,
    /// Checks configurations and runs unit tests of rules.
    pub promtool: PathBuf,
}

/// Finds the binaries on this machine; on Debian or Ubuntu, as root or with sudo, they are installed if missing.
///
/// # Errors
///
/// When they are not there and cannot be installed.
pub fn prometheus() -> anyhow::Result<PrometheusBinaries> {
    if let Some(found) = installed() {
        return Ok(found);
    }
    apt::install(&["prometheus"]).context("neither prometheus nor promtool is on this machine")?;
    installed().context("the package prometheus brought no prometheus and promtool")
}

fn installed() -> Option<PrometheusBinaries> {
    Some(PrometheusBinaries { server: find(&["prometheus"])?, promtool: find(&["promtool"])? })
}
