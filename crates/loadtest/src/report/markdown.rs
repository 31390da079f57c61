//! The report in Markdown, which is readable in a terminal too.

use std::fmt;

use super::{
    Report,
    table::{request_table, rounded},
};
use crate::Progress;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}\n\n`{}` on {}\n", self.scenario, self.command, self.machine)?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        writeln!(f, "\n{}", request_table(self.target_rps, self.concurrency, &self.outcome))?;
        self.refusals(f)?;
        self.delivery(f)?;
        self.per_message.fmt(f)?;
        self.cost(f)?;
        self.steps(f)?;
        writeln!(f, "![latency by percentile, backlog over time]({}.svg)\n", self.scenario)?;
        let settings: Vec<_> = self.durability.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(f, "Database settings in force: `{}`", settings.join(" "))
    }
}

impl Report {
    fn refusals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.outcome.non_2xx.iter().map(|(status, count)| format!("{count} x {status}"));
        let all: Vec<_> =
            statuses.chain(self.outcome.errors.iter().map(|(why, count)| format!("{count} x {why}"))).collect();
        if all.is_empty() { Ok(()) } else { writeln!(f, "Not accepted: {}\n", all.join(", ")) }
    }

    fn delivery(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what the table hides | |\n|---|---|")?;
        writeln!(f, "| accepted requests | {:.1}/s of {} recipient(s) |", self.accepted_per_s, self.recipients)?;
        writeln!(f, "| delivered recipients | {:.1}/s |", self.delivered_per_s)?;
        let Report { floor, fraction_of_floor, .. } = self;
        if self.floor_per_s > 0.0 {
            writeln!(
                f,
                "| bare database client, {} connections | {:.0}/s; delivered is {:.0} % of it |",
                floor.connections,
                self.floor_per_s,
                fraction_of_floor * 100.0
            )?;
        }
        for (kind, waits) in &self.accept_to_operator_ms {
            writeln!(f, "| {kind}, accept to operator | p50 {:.1} ms, p99 {:.1} ms |", waits.p50, waits.p99)?;
        }
        for (kind, latency) in &self.accept_to_done_ms {
            let crate::Latency { p50, p99, max, .. } = latency;
            writeln!(f, "| {kind}, accept to recorded delivery | p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms |")?;
        }
        writeln!(f, "| backlog | peak {}, {} at the end |", self.peak_backlog, self.final_backlog)?;
        writeln!(f, "| drained after | {:.1} s |", self.drain_s)?;
        writeln!(f, "| users whose balance is not their ledger's sum | {} |\n", self.ledger_mismatches)
    }

    fn cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The services took {:.3} ms of CPU for each delivered recipient.\n", self.cpu_ms_per_message)?;
        writeln!(f, "| process | CPU in {:.1} s | memory | most memory |\n|---|---|---|---|", self.window_s)?;
        for (process, seconds) in &self.cpu_s {
            let cores = seconds / self.window_s.max(0.001);
            write!(f, "| {process} | {seconds:.1} s, {cores:.2} cores |")?;
            match (self.rss_mib.get(process), self.peak_rss_mib.get(process)) {
                (Some(now), Some(peak)) => writeln!(f, " {now:.1} MiB | {peak:.1} MiB |")?,
                _ => writeln!(f, " | |")?,
            }
        }
        writeln!(f)
    }

    fn steps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.search.is_empty() {
            return Ok(());
        }
        writeln!(f, "| offered | delivered | accepted | held |\n|---|---|---|---|")?;
        for step in &self.search {
            let held = if step.held { "yes" } else { "no" };
            let accepted = step.success_rate * 100.0;
            writeln!(f, "| {}/s | {:.0}/s | {accepted:.2} % | {held} |", rounded(step.rps), step.delivered_per_s)?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elapsed, is_measured, successful, refused, failed } = self;
        let warmup = if *is_measured { "" } else { " (warm-up)" };
        write!(f, "{:>4.0} s: {successful} accepted, {refused} non-2xx, {failed} errors{warmup}", elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn the_report_says_what_happened() {
        let text = example().to_string();
        for part in [
            "| 1000 | 999.7 | 200 | 30.0 s | 30000 | 29990 | 7 | 3 | 99.967 % |",
            "7 x 503, 3 x timeout",
            "p50 20.0 ms, p99 45.0 ms",
            "peak 120",
            "25 % of it",
            "innodb_flush_log_at_trx_commit=1",
            "outbox-relay",
            "| statements | 2.750 |",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
