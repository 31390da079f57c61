//! What a benchmark found: one value, written as a table, Markdown, JSON and a plot.

mod claims;
mod markdown;
mod per_message;
mod plot;
mod table;

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::Serialize;

use crate::{DoneLatencies, Floor, Latency, Outcome};

pub use claims::ClaimReport;
pub use per_message::PerMessage;
pub use table::request_table;

/// Median and 99th percentile in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Waits {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// One step of a search for the highest rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Requests a second offered.
    pub rps: f64,
    /// Recipients a second delivered.
    pub delivered_per_s: f64,
    /// Share of requests that were accepted, 0 to 1.
    pub success_rate: f64,
    /// Whether accepting and delivering kept up.
    pub held: bool,
}

/// Everything that one run of a scenario found. Rates of requests and of recipients differ where a request has
/// several recipients.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The command that was run.
    pub command: String,
    /// What else one has to know.
    pub notes: Vec<String>,
    /// The machine: cores, processor, memory, kernel.
    pub machine: String,
    /// The database server's settings that decide about durability, read back from it.
    pub durability: BTreeMap<String, String>,

    /// Requests a second offered.
    pub target_rps: f64,
    /// Requests a second ended, to the last answer.
    pub achieved_rps: f64,
    /// Connections.
    pub concurrency: usize,
    /// What came of the requests.
    #[serde(flatten)]
    pub outcome: Outcome,

    /// Requests a second accepted.
    pub accepted_per_s: f64,
    /// Recipients of each request.
    pub recipients: u32,
    /// Recipients a second whose delivery was recorded while the load was on.
    pub delivered_per_s: f64,
    /// From the stored row to the operator, by type, from the worker's histogram.
    pub accept_to_operator_ms: BTreeMap<String, Waits>,
    /// From the stored row to the recorded delivery, by type, exactly, from the tables.
    pub accept_to_done_ms: BTreeMap<String, Latency>,
    /// Recipients a second that a bare database client takes through the same rows.
    pub floor_per_s: f64,
    /// How the floor was measured.
    pub floor: Floor,
    /// `delivered_per_s / floor_per_s`.
    pub fraction_of_floor: f64,

    /// Most recipients without an outcome at one time.
    pub peak_backlog: u64,
    /// Those at the end of the scheduled load.
    pub final_backlog: u64,
    /// Seconds from the last answer until none was left.
    pub drain_s: f64,
    /// Seconds of the scheduled load in which deliveries, CPU time and `final_backlog` were read. A load that is not
    /// kept up with goes on after its schedule.
    pub window_s: f64,
    /// CPU time of the three services for each recipient delivered while the load was on.
    pub cpu_ms_per_message: f64,
    /// What the servers did for each of these. Reports from before it was read have none.
    pub per_message: PerMessage,
    /// CPU seconds while the load was on, by process; `other` is the rest of the machine.
    pub cpu_s: BTreeMap<String, f64>,
    /// Resident memory at the end of the load, in MiB.
    pub rss_mib: BTreeMap<String, f64>,
    /// The most until then.
    pub peak_rss_mib: BTreeMap<String, f64>,
    /// Users whose balance was not the sum of their ledger at the end; must be 0.
    pub ledger_mismatches: u64,

    /// The steps of the search, where there was one.
    pub search: Vec<Step>,
    /// Seconds from the start of the measurement, and recipients without an outcome.
    pub backlog: Vec<(f64, u64)>,
}

impl Report {
    /// Writes `NAME.json`, `NAME.md` and `NAME.svg` into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        save(folder, &self.scenario, self, &[("md", self.to_string()), ("svg", plot::svg(self))])
    }
}

/// Writes a report as `NAME.json` and in other forms, by ending, into a folder, which is made where it is missing.
fn save(folder: &Path, name: &str, report: &impl Serialize, forms: &[(&str, String)]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let json = serde_json::to_string_pretty(report).context("writing JSON")? + "\n";
    for (ending, content) in forms.iter().chain([&("json", json)]) {
        let path = folder.join(format!("{name}.{ending}"));
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Latencies by type, as the report holds them.
pub fn by_type(latencies: DoneLatencies) -> BTreeMap<String, Latency> {
    latencies.into_iter().map(|(kind, latency)| (kind.to_owned(), latency)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Report {
        let names = ["api-gateway", "outbox-relay", "delivery-worker"];
        let each = |value: f64| names.iter().map(|name| ((*name).to_owned(), value)).collect::<BTreeMap<_, _>>();
        let latency = Latency { p50: 3.5, p90: 6.0, p95: 7.25, p99: 12.0, max: 40.0 };
        Report {
            scenario: "steady".into(),
            command: "cargo xtask bench --scenario steady".into(),
            notes: vec!["rate limits off".into()],
            machine: "2 cores".into(),
            durability: BTreeMap::from([("innodb_flush_log_at_trx_commit".into(), "1".into())]),
            target_rps: 1_000.0,
            achieved_rps: 999.5,
            concurrency: 200,
            outcome: Outcome {
                seconds: 30.01,
                total: 30_000,
                successful: 29_990,
                non_2xx: BTreeMap::from([(503, 7)]),
                errors: BTreeMap::from([("timeout".into(), 3)]),
                success_rate: 29_990.0 / 30_000.0,
                latency_ms: latency,
                curve: vec![(0.0, 1.0), (50.0, 3.5), (99.0, 12.0), (99.999, 40.0)],
            },
            accepted_per_s: 999.2,
            recipients: 1,
            delivered_per_s: 998.0,
            accept_to_operator_ms: BTreeMap::from([("normal".into(), Waits { p50: 20.0, p99: 45.0 })]),
            accept_to_done_ms: BTreeMap::from([("normal".into(), latency)]),
            floor_per_s: 4_000.0,
            floor: Floor { per_second: 4_000.0, connections: 4, deadlocks: 0 },
            fraction_of_floor: 0.2495,
            peak_backlog: 120,
            final_backlog: 50,
            drain_s: 0.2,
            window_s: 29.75,
            cpu_ms_per_message: 0.4,
            per_message: PerMessage { statements: Some(2.75), ..PerMessage::default() },
            cpu_s: each(4.0),
            rss_mib: each(20.0),
            peak_rss_mib: each(25.0),
            ledger_mismatches: 0,
            search: vec![],
            backlog: vec![(0.0, 0), (1.0, 120), (2.0, 50)],
        }
    }

    #[test]
    fn a_report_is_saved_in_three_forms() {
        let folder = std::env::temp_dir().join(format!("loadtest-{}", uuid::Uuid::now_v7()));
        example().save(&folder).expect("a folder to write to");
        let read = |ending| std::fs::read_to_string(folder.join(format!("steady.{ending}"))).expect("a file");
        let json: serde_json::Value = serde_json::from_str(&read("json")).expect("JSON");
        assert_eq!(json["latency_ms"]["p99"], 12.0);
        assert_eq!(json["accept_to_operator_ms"]["normal"]["p50"], 20.0);
        assert_eq!(json["per_message"], serde_json::json!({ "statements": 2.75 }));
        assert_eq!(json["rss_mib"]["outbox-relay"], 20.0);
        let numbers = "target_rps achieved_rps accepted_per_s delivered_per_s success_rate floor_per_s peak_backlog drain_s cpu_ms_per_message";
        for key in numbers.split(' ') {
            assert!(json[key].is_number(), "{key}");
        }
        assert!(read("md").contains("| 1000 |") && read("svg").starts_with("<svg"));
        std::fs::remove_dir_all(folder).expect("it is ours");
    }
}
