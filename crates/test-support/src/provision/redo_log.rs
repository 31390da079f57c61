//! Room for what a database server has committed and not yet written to its tables.

/// How much room a server's redo log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RedoLog {
    /// The server's default of about 100 MiB.
    Small,
    /// 2 GiB, as the servers have that we ship: with less, commits under load wait for pages to be written.
    Large,
}
