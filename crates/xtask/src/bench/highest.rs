//! The highest rate that is accepted and delivered without the backlog growing.

use std::time::Duration;

use loadtest::{
    Load,
    report::{Report, Step},
    search::Search,
};

use super::{Site, measure, platform::Platform};

/// Warm-up of a step.
const WARMUP: Duration = Duration::from_secs(2);
/// Share of requests that must be accepted.
const ACCEPTED: f64 = 0.999;
/// Share of the offered recipients that must be delivered while they are offered; the rest would be a growing backlog.
const DELIVERED: f64 = 0.98;
/// How close the search comes.
const PRECISION: f64 = 0.05;
/// From one try to measure the highest rate in full to the next.
const LOWER: f64 = 0.95;
const TRIES: u32 = 5;

/// Looks for the rate in steps, then measures it in full; lower where it does not hold that long.
pub(super) async fn run(platform: &Platform, site: &Site, load: &Load, step: Duration) -> anyhow::Result<Report> {
    let (mut search, mut steps) = (Search::new(load.rps, PRECISION), Vec::new());
    while let Some(rps) = search.next() {
        let short = Load { rps, duration: step, warmup: WARMUP, ..*load };
        let mut held = false;
        // Something else on the machine may spoil a step once.
        for _ in 0..2 {
            eprintln!("step: {rps:.0} requests/s");
            let report = measure::run(platform, site, &short).await?;
            held = holds(&report);
            steps.push(step_of(&report, held));
            if held {
                break;
            }
        }
        search.tell(held);
    }
    let mut rps = search.found().unwrap_or(1.0);
    let mut tries = 0;
    loop {
        tries += 1;
        eprintln!("measuring {rps:.0} requests/s");
        let mut report = measure::run(platform, site, &Load { rps, ..*load }).await?;
        let held = holds(&report);
        steps.push(step_of(&report, held));
        if held || tries == TRIES {
            report.search = steps;
            report.notes.push(criterion(held));
            return Ok(report);
        }
        rps *= LOWER;
    }
}

fn criterion(held: bool) -> String {
    let (accepted, delivered) = (ACCEPTED * 100.0, DELIVERED * 100.0);
    let rule =
        format!("{accepted} % accepted, {delivered} % of the offered recipients delivered while they were offered");
    if held {
        format!("the highest rate found that holds for the whole duration: {rule}")
    } else {
        format!("no rate held for the whole duration ({rule}); this is the last one tried")
    }
}

fn holds(report: &Report) -> bool {
    let offered = report.target_rps * f64::from(report.recipients);
    report.outcome.success_rate >= ACCEPTED && report.delivered_per_s >= DELIVERED * offered
}

fn step_of(report: &Report, held: bool) -> Step {
    Step {
        rps: report.target_rps.round(),
        delivered_per_s: report.delivered_per_s,
        success_rate: report.outcome.success_rate,
        held,
    }
}

#[cfg(test)]
mod tests {
    use loadtest::Outcome;

    use super::*;

    #[test]
    fn a_rate_holds_when_it_is_accepted_and_delivered() {
        let report = |success_rate, delivered_per_s| Report {
            target_rps: 100.0,
            recipients: 10,
            outcome: Outcome { success_rate, ..Outcome::default() },
            delivered_per_s,
            ..Report::default()
        };
        assert!(holds(&report(1.0, 990.0)));
        assert!(!holds(&report(1.0, 970.0)), "the backlog grows");
        assert!(!holds(&report(0.99, 1_000.0)), "requests are refused");
    }
}
