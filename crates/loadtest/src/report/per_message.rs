//! What a delivered recipient cost the servers.

use std::fmt;

use serde::Serialize;

use crate::Place;

/// Work of the servers for each recipient delivered while the load was on. What is not known is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct PerMessage {
    /// Commits that the services sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<f64>,
    /// Statements that the services sent, BEGIN and COMMIT included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements: Option<f64>,
    /// InnoDB's calls of `fsync` and `fdatasync`, for its log and its tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub innodb_fsyncs: Option<f64>,
    /// Syncs of the binary log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binlog_syncs: Option<f64>,
    /// CPU time of the database server in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_cpu_ms: Option<f64>,
    /// Where that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_in: Option<Place>,
    /// CPU time of the broker in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_cpu_ms: Option<f64>,
    /// Where that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_in: Option<Place>,
}

impl fmt::Display for PerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| for each delivered recipient | |\n|---|---|")?;
        for (what, count) in [
            ("transactions", self.transactions),
            ("statements", self.statements),
            ("InnoDB's fsyncs", self.innodb_fsyncs),
            ("syncs of the binary log", self.binlog_syncs),
        ] {
            let count = count.map_or_else(|| "unknown".to_owned(), |count| format!("{count:.3}"));
            writeln!(f, "| {what} | {count} |")?;
        }
        for (what, millis, place) in [
            ("database server's CPU", self.database_cpu_ms, self.database_in),
            ("broker's CPU", self.broker_cpu_ms, self.broker_in),
        ] {
            match (millis, place) {
                (Some(millis), Some(place)) => writeln!(f, "| {what} | {millis:.3} ms, {place} |")?,
                _ => writeln!(f, "| {what} | unknown |")?,
            }
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said_and_left_out_of_json() {
        let known = PerMessage {
            transactions: Some(0.4444),
            database_cpu_ms: Some(0.25),
            database_in: Some(Place::Container),
            ..PerMessage::default()
        };
        let text = known.to_string();
        for line in [
            "| transactions | 0.444 |",
            "| statements | unknown |",
            "| database server's CPU | 0.250 ms, in a container of Docker's |",
            "| broker's CPU | unknown |",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        let json = serde_json::to_value(known).expect("JSON");
        let expected =
            serde_json::json!({ "transactions": 0.4444, "database_cpu_ms": 0.25, "database_in": "container" });
        assert_eq!(json, expected);
    }
}
