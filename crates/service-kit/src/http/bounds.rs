//! What bounds a connection, as far as more than one part of it goes by it.

use std::time::Duration;

/// How long a client may take to send the head of a request.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// After this a client that takes nothing of its answers is cut off.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A head that is larger needs its place before it is whole.
pub(crate) const SMALL_HEAD: usize = 4 * 1024;
/// What probes ask for: small answers about the process itself.
pub(crate) const PROBES: [&str; 2] = ["/healthz", "/readyz"];
