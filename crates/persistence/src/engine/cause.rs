//! What an error of the driver means for the transaction it met, and for the connection.
//!
//! Numbers first: they are exact. What has no place here goes by its SQLSTATE class, so that a number that only a proxy
//! or a cluster knows is no mistake of ours.

use sea_orm::{DbErr, RuntimeErr, SqlxError, SqlxMySqlError};

/// What a failed statement means for the transaction it was part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No connection was to be had.
    Unreachable,
    /// Rolled back for another's sake (a deadlock, a lock that took too long, a conflict in a cluster): run it again.
    Contention,
    /// The server takes no writes. It said so before anything was stored: run it again, where another server answers.
    ReadOnly,
    /// The session or its server is gone or going, or must not be used any more: run it again on another connection,
    /// unless the commit was on its way.
    Session,
    /// This one session cannot be used any more, others can: run it again on another connection.
    Stale,
    /// Refused for now (a full disk, a right that is missing, a statement that was killed): later, but not at once.
    Later,
    /// A mistake of ours: running it again would not help.
    Mistake,
}

impl Cause {
    /// Whether the same call may succeed later without a change of ours.
    pub(crate) fn is_passing(self) -> bool {
        self != Self::Mistake
    }

    /// Whether a transaction that met this before its commit may be run again at once: nothing of it was stored.
    pub(crate) fn allows_another_try(self) -> bool {
        matches!(self, Self::Contention | Self::ReadOnly | Self::Session | Self::Stale)
    }

    /// Whether this, as the answer to a commit, says for sure that nothing was stored. What else can be said of a
    /// commit leaves its outcome open, and a charge must not be made twice.
    pub(crate) fn is_rolled_back(self) -> bool {
        matches!(self, Self::Contention | Self::ReadOnly)
    }

    /// Whether the connection that met this can be used again once the transaction is rolled back.
    pub(crate) fn spares_connection(self) -> bool {
        matches!(self, Self::Contention | Self::Mistake)
    }

    /// Whether it speaks of the session or the server, and so of the other connections that lead there as well.
    pub(crate) fn concerns_server(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Session)
    }
}

pub(crate) fn cause_of(error: &DbErr) -> Cause {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Cause::Unreachable,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            cause_in_driver(error)
        }
        _ => Cause::Mistake,
    }
}

fn cause_in_driver(error: &SqlxError) -> Cause {
    match error {
        SqlxError::PoolTimedOut | SqlxError::PoolClosed => Cause::Unreachable,
        SqlxError::Io(_) | SqlxError::Tls(_) | SqlxError::Protocol(_) | SqlxError::WorkerCrashed => Cause::Session,
        SqlxError::Database(refusal) => match refusal.try_downcast_ref::<SqlxMySqlError>() {
            Some(mysql) => of_mysql(mysql.number(), mysql.code().unwrap_or_default()),
            None => of_sqlite(refusal.code().and_then(|code| code.parse().ok()).unwrap_or_default()),
        },
        _ => Cause::Mistake,
    }
}

/// Record changed since last read, lock wait timeout, deadlock, table definition changed, rolled back by the group, lock
/// not free.
const CONTENTION: [u16; 6] = [1020, 1205, 1213, 1412, 3101, 3572];

/// The server, the session or the table takes no writes: after a switch-over, or for maintenance.
const READ_ONLY: [u16; 5] = [1036, 1290, 1792, 1836, 1874];

/// Too many connections, node not in the cluster (Galera), shutdown, host refused, connection ended, session killed,
/// refused by group replication, server not available.
const SESSION: [u16; 12] = [1040, 1047, 1053, 1077, 1079, 1129, 1130, 1152, 1203, 1927, 3100, 3168];

/// An account's limit, unknown handler of a prepared statement (a proxy changed servers), no more prepared statements, a
/// statement that must be prepared again, a session ended for its silence.
const STALE: [u16; 5] = [1226, 1243, 1461, 1615, 4031];

/// Errors of files (the disk is full, above all) and of the storage engine, out of memory, table full, no thread, lock table
/// full, too many transactions, no binary log, no temporary file.
const SHORT_OF: [u16; 16] =
    [1016, 1021, 1023, 1024, 1026, 1028, 1030, 1037, 1038, 1041, 1114, 1135, 1206, 1598, 1637, 1878];

/// Rights that are being changed: on a database, the login itself, on a table, a column, of an administrator.
const RIGHTS: [u16; 5] = [1044, 1045, 1142, 1143, 1227];

/// Unknown error (what proxies and clusters say for want of a better number), error at commit, statement killed, statement
/// timed out (MariaDB, MySQL).
const GENERAL: [u16; 5] = [1105, 1180, 1317, 1969, 3024];

/// A packet that is too large: the same batch would be refused again, so whoever can shall take it apart. Its state is one
/// of a broken connection (08S01), for the server ends that as well.
const PACKET_TOO_LARGE: u16 = 1153;

/// The number and the SQLSTATE of an error of MySQL or MariaDB, or of a proxy or cluster that speaks for them.
fn of_mysql(number: u16, state: &str) -> Cause {
    match number {
        PACKET_TOO_LARGE => Cause::Mistake,
        // Not a server's: those of the client library, as proxies pass them on, and proxies' own.
        2000..=2999 | 9000.. => Cause::Session,
        // Of files of the server, a temporary one on a full disk above all.
        1..=999 => Cause::Later,
        _ if CONTENTION.contains(&number) => Cause::Contention,
        _ if READ_ONLY.contains(&number) => Cause::ReadOnly,
        _ if SESSION.contains(&number) => Cause::Session,
        _ if STALE.contains(&number) => Cause::Stale,
        _ if [&SHORT_OF[..], &RIGHTS, &GENERAL].iter().any(|known| known.contains(&number)) => Cause::Later,
        _ => of_state(state),
    }
}

fn of_state(state: &str) -> Cause {
    match (state, state.get(..2).unwrap_or_default()) {
        ("25006", _) => Cause::ReadOnly,
        // Broken connections, states of a transaction that nobody knows, and 40003: rolled back or not, nobody knows.
        ("40003", _) | (_, "08" | "25") => Cause::Session,
        (_, "40") => Cause::Contention,
        // Authorization, resources, intervention of an operator, errors of the system, query interrupted.
        (_, "28" | "53" | "57" | "58" | "70") => Cause::Later,
        _ => Cause::Mistake,
    }
}

/// An extended result code of SQLite, which carries the primary one in its low byte.
fn of_sqlite(code: i32) -> Cause {
    match code & 0xff {
        // BUSY, LOCKED, SCHEMA.
        5 | 6 | 17 => Cause::Contention,
        // PERM, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL. At some of these SQLite has rolled back by
        // itself, at others the file may have been replaced: not one leaves a connection to go on with.
        3 | 7 | 8 | 9 | 10 | 13 | 14 | 15 => Cause::Later,
        _ => Cause::Mistake,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use sea_orm::ConnAcquireErr;

    use super::*;

    /// Every number that has a place, as servers send it.
    const MYSQL: [(Cause, &[(u16, &str)]); 6] = [
        (
            Cause::Contention,
            &[(1020, "HY000"), (1205, "HY000"), (1213, "40001"), (1412, "HY000"), (3101, "40000"), (3572, "HY000")],
        ),
        (Cause::ReadOnly, &[(1036, "HY000"), (1290, "HY000"), (1792, "25006"), (1836, "HY000"), (1874, "HY000")]),
        (Cause::Stale, &[(1226, "42000"), (1243, "HY000"), (1461, "42000"), (1615, "HY000"), (4031, "HY000")]),
        (
            Cause::Session,
            &[
                (1040, "08004"),
                (1047, "08S01"),
                (1053, "08S01"),
                (1077, "HY000"),
                (1079, "HY000"),
                (1129, "HY000"),
                (1130, "HY000"),
                (1152, "08S01"),
                (1158, "08S01"),
                (1159, "08S01"),
                (1160, "08S01"),
                (1161, "08S01"),
                (1203, "42000"),
                (1927, "70100"),
                (2003, "HY000"),
                (2006, "HY000"),
                (2013, "HY000"),
                (3100, "HY000"),
                (3168, "HY000"),
                (9001, "HY000"),
                (9006, "HY000"),
            ],
        ),
        (
            Cause::Later,
            &[
                (3, "HY000"),
                (28, "HY000"),
                (1016, "HY000"),
                (1021, "HY000"),
                (1023, "HY000"),
                (1024, "HY000"),
                (1026, "HY000"),
                (1028, "HY000"),
                (1030, "HY000"),
                (1037, "HY001"),
                (1038, "HY001"),
                (1041, "HY000"),
                (1044, "42000"),
                (1045, "28000"),
                (1105, "HY000"),
                (1114, "HY000"),
                (1135, "HY000"),
                (1142, "42000"),
                (1143, "42000"),
                (1180, "HY000"),
                (1206, "HY000"),
                (1227, "42000"),
                (1317, "70100"),
                (1598, "HY000"),
                (1637, "HY000"),
                (1878, "HY000"),
                (1969, "70100"),
                (3024, "HY000"),
            ],
        ),
        (
            Cause::Mistake,
            &[
                (1048, "23000"),
                (1054, "42S22"),
                (1062, "23000"),
                (1064, "42000"),
                (1146, "42S02"),
                (1153, "08S01"),
                (1264, "22003"),
                (1364, "HY000"),
                (1366, "HY000"),
                (1406, "22001"),
                (1690, "22003"),
                (3819, "HY000"),
                (4025, "23000"),
            ],
        ),
    ];

    #[test]
    fn errors_of_mysql_go_by_their_number() {
        for (cause, numbers) in MYSQL {
            for (number, state) in numbers {
                assert_eq!(of_mysql(*number, state), cause, "{number} ({state})");
            }
        }
    }

    #[test]
    fn unknown_numbers_go_by_the_class_of_their_state() {
        let states = [
            ("08S01", Cause::Session),
            ("08006", Cause::Session),
            ("25006", Cause::ReadOnly),
            ("25S01", Cause::Session),
            ("28000", Cause::Later),
            ("40001", Cause::Contention),
            ("40003", Cause::Session),
            ("53300", Cause::Later),
            ("57014", Cause::Later),
            ("58000", Cause::Later),
            ("70100", Cause::Later),
            ("HY000", Cause::Mistake),
            ("42000", Cause::Mistake),
            ("", Cause::Mistake),
        ];
        for (state, cause) in states {
            assert_eq!(of_mysql(4_999, state), cause, "{state:?}");
        }
    }

    #[test]
    fn errors_of_sqlite_go_by_their_primary_code() {
        let codes: [(Cause, &[i32]); 3] = [
            // With BUSY_SNAPSHOT and LOCKED_SHAREDCACHE.
            (Cause::Contention, &[5, 517, 6, 262, 17]),
            // With READONLY_DBMOVED, IOERR_FSYNC, IOERR_WRITE, IOERR_SHMSIZE and CANTOPEN_ISDIR.
            (Cause::Later, &[3, 7, 8, 1032, 9, 10, 1034, 778, 4874, 13, 14, 526, 15]),
            // ERROR, CORRUPT, CONSTRAINT with CHECK and UNIQUE, MISUSE, NOTADB.
            (Cause::Mistake, &[1, 11, 19, 275, 2067, 21, 26]),
        ];
        for (cause, codes) in codes {
            for code in codes {
                assert_eq!(of_sqlite(*code), cause, "{code}");
            }
        }
    }

    #[test]
    fn errors_of_the_driver_itself_speak_of_the_connection() {
        let of = |error: SqlxError| cause_of(&DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))));
        assert_eq!(of(SqlxError::Io(io::ErrorKind::ConnectionReset.into())), Cause::Session);
        assert_eq!(of(SqlxError::Tls("closed".into())), Cause::Session);
        assert_eq!(of(SqlxError::Protocol("out of order".into())), Cause::Session);
        assert_eq!(of(SqlxError::WorkerCrashed), Cause::Session);
        assert_eq!(of(SqlxError::PoolTimedOut), Cause::Unreachable);
        assert_eq!(of(SqlxError::PoolClosed), Cause::Unreachable);
        assert_eq!(of(SqlxError::RowNotFound), Cause::Mistake);
        assert_eq!(cause_of(&DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)), Cause::Unreachable);
        let refused = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(SqlxError::Protocol("no".into()))));
        assert_eq!(cause_of(&refused), Cause::Unreachable);
        assert_eq!(cause_of(&DbErr::Custom("ours".to_owned())), Cause::Mistake);
    }

    #[test]
    fn a_commit_of_unknown_outcome_is_never_run_again() {
        for cause in [Cause::Unreachable, Cause::Session, Cause::Stale, Cause::Later, Cause::Mistake] {
            assert!(!cause.is_rolled_back(), "{cause:?}");
        }
    }
}
