//! What a database server has done so far, by its own counters.

use std::collections::BTreeMap;

/// Counters of a server since it started, of all its clients but the benchmark itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounters {
    /// COMMITs that clients sent (`Com_commit`). A statement outside of a transaction is none of these. `Handler_commit` is
    /// another number: it rises by two for a transaction of one statement.
    pub transactions: Option<u64>,
    /// Statements that clients sent (`Questions`): BEGIN and COMMIT are among them, preparing is not.
    pub statements: Option<u64>,
    /// Calls of `fsync` or `fdatasync` by InnoDB (`Innodb_data_fsyncs`): those of its log, which `Innodb_os_log_fsyncs` counts
    /// once more where it exists, and of its tables. Those of the binary log are not InnoDB's.
    pub innodb_fsyncs: Option<u64>,
    /// Syncs of the binary log: 0 without one. Only `performance_schema` knows them, as what is done with the log's files
    /// beyond reading and writing.
    pub binlog_syncs: Option<u64>,
}

impl ServerCounters {
    /// The statement that asks for them.
    pub(crate) const QUERY: &str =
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_commit', 'Questions', 'Innodb_data_fsyncs')";

    /// The statement that asks for syncs of the binary log; NULL where there is nobody to tell.
    pub(crate) const BINLOG_QUERY: &str = "SELECT CAST(IF(@@log_bin, (SELECT COUNT_MISC FROM performance_schema.file_summary_by_event_name \
         WHERE EVENT_NAME = 'wait/io/file/sql/binlog' AND @@performance_schema), 0) AS SIGNED)";

    /// Reads the answers; `asked` statements were the benchmark's.
    pub(crate) fn of(rows: &BTreeMap<String, String>, asked: u64, binlog_syncs: Option<u64>) -> Self {
        let counter = |name: &str| rows.get(name)?.parse::<u64>().ok();
        Self {
            transactions: counter("Com_commit"),
            statements: counter("Questions").map(|all| all.saturating_sub(asked)),
            innodb_fsyncs: counter("Innodb_data_fsyncs"),
            binlog_syncs,
        }
    }

    /// What was done since `earlier`; nothing is known where the server began to count anew meanwhile.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let between = |now: Option<u64>, before: Option<u64>| now?.checked_sub(before?);
        Self {
            transactions: between(self.transactions, earlier.transactions),
            statements: between(self.statements, earlier.statements),
            innodb_fsyncs: between(self.innodb_fsyncs, earlier.innodb_fsyncs),
            binlog_syncs: between(self.binlog_syncs, earlier.binlog_syncs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_benchmarks_own_statements_do_not_count() {
        let before = ServerCounters::of(&rows(&[("Com_commit", "5"), ("Questions", "100")]), 40, Some(3));
        let after = ServerCounters::of(&rows(&[("Com_commit", "9"), ("Questions", "130")]), 43, Some(5));
        let done =
            ServerCounters { transactions: Some(4), statements: Some(27), innodb_fsyncs: None, binlog_syncs: Some(2) };
        assert_eq!(after.since(&before), done);
    }

    #[test]
    fn a_server_that_was_restarted_has_done_an_unknown_amount() {
        let before = ServerCounters::of(&rows(&[("Com_commit", "500"), ("Innodb_data_fsyncs", "7")]), 0, None);
        let after = ServerCounters::of(&rows(&[("Com_commit", "9"), ("Innodb_data_fsyncs", "8")]), 0, Some(1));
        assert_eq!(after.since(&before).transactions, None);
        assert_eq!((after.since(&before).innodb_fsyncs, after.since(&before).binlog_syncs), (Some(1), None));
    }
}
