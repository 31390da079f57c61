//! The report of scenario `backlog`: what claims cost while many events wait.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::Serialize;

use super::save;
use crate::{CLAIM_BATCH, ClaimCost};

/// Everything that one run found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ClaimReport {
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
    /// By events that wait, the smallest number first.
    pub claims: Vec<ClaimCost>,
}

impl ClaimReport {
    /// Writes `NAME.json` and `NAME.md` into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        save(folder, &self.scenario, self, &[("md", self.to_string())])
    }
}

impl fmt::Display for ClaimReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}\n\n`{}` on {}\n", self.scenario, self.command, self.machine)?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        writeln!(f, "\n| waiting | a batch of {CLAIM_BATCH} held | recorded | both | database's CPU, an event |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        let smallest = self.claims.first();
        let times = |now: f64, before: Option<f64>| match before {
            Some(before) if before > 0.0 => format!(" ({:.2} x)", now / before),
            _ => String::new(),
        };
        for cost in &self.claims {
            let ClaimCost { waiting, hold_ms, record_ms, database_cpu_us, .. } = cost;
            let (total, relative) = (cost.total_ms(), times(cost.total_ms(), smallest.map(ClaimCost::total_ms)));
            write!(f, "| {waiting} | {hold_ms:.2} ms | {record_ms:.2} ms | {total:.2} ms{relative} |")?;
            match database_cpu_us {
                None => writeln!(f, " unknown |")?,
                Some(cpu) => {
                    let relative = times(*cpu, smallest.and_then(|smallest| smallest.database_cpu_us));
                    writeln!(f, " {cpu:.1} us{relative} |")?;
                }
            }
        }
        let settings: Vec<_> = self.durability.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(f, "\nDatabase settings in force: `{}`", settings.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_compared_with_those_of_the_smallest_backlog() {
        let cost = |waiting, hold_ms, database_cpu_us| ClaimCost {
            waiting,
            claims: 51,
            hold_ms,
            record_ms: 2.0,
            database_cpu_us,
        };
        let report = ClaimReport {
            scenario: "backlog".into(),
            claims: vec![cost(0, 2.0, Some(20.0)), cost(10_000, 4.0, Some(25.0)), cost(100_000, 2.0, None)],
            ..ClaimReport::default()
        };
        let text = report.to_string();
        for line in [
            "| 0 | 2.00 ms | 2.00 ms | 4.00 ms (1.00 x) | 20.0 us (1.00 x) |",
            "| 10000 | 4.00 ms | 2.00 ms | 6.00 ms (1.50 x) | 25.0 us (1.25 x) |",
            "| 100000 | 2.00 ms | 2.00 ms | 4.00 ms (1.00 x) | unknown |",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }
}
