//! The table of a load, as the description of the platform has it.

use crate::{Latency, Outcome};

const HEAD: &str =
    "| Target RPS | Achieved RPS | Concurrency | Duration | Total Requests | Successful Requests | Non-2xx Responses \
| HTTP Errors | Success Rate | p50 Latency | p90 Latency | p95 Latency | p99 Latency | Max Latency |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// The table of a load and what came of it.
pub fn request_table(rps: f64, concurrency: usize, outcome: &Outcome) -> String {
    let Latency { p50, p90, p95, p99, max } = outcome.latency_ms;
    format!(
        "{HEAD}| {} | {:.1} | {concurrency} | {:.1} s | {} | {} | {} | {} | {:.3} % | {p50:.2} ms | {p90:.2} ms | {p95:.2} ms | {p99:.2} ms | {max:.2} ms |\n",
        rounded(rps),
        per_second(outcome.total, outcome.seconds),
        outcome.seconds,
        outcome.total,
        outcome.successful,
        outcome.non_2xx.values().sum::<u64>(),
        outcome.errors.values().sum::<u64>(),
        outcome.success_rate * 100.0,
    )
}

/// Whole rates without a point.
pub(super) fn rounded(rate: f64) -> String {
    if rate >= 100.0 { format!("{rate:.0}") } else { format!("{rate}") }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_value() {
        let text = request_table(1_000.0, 200, &Outcome::default());
        let columns: Vec<_> = text.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [15, 15, 15]);
        assert!(text.contains("| 1000 | 0.0 | 200 |"), "{text}");
    }
}
