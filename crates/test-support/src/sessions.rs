//! What a server says of its sessions, for tests that wait for one to wait.

/// Whether a server is one, for [`sessions`].
pub const IS_MARIADB: &str = "SELECT VERSION() LIKE '%MariaDB%'";

/// The server's sessions as a table of `id`, `db`, `command`, `time` and `info`. MySQL's own one of that name fails while any session runs a
/// statement with bytes that are no text.
pub fn sessions(is_mariadb: bool) -> &'static str {
    if is_mariadb {
        return "information_schema.processlist";
    }
    "(SELECT processlist_id AS id, processlist_db AS db, processlist_command AS command, processlist_time AS time,
        processlist_info AS info FROM performance_schema.threads WHERE processlist_id IS NOT NULL)"
}
