//! One load, and everything that is read before, during and after it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, ensure};
use chrono::NaiveDateTime;
use loadtest::{
    DoneLatencies, Load, Outcome, Schedule, Scrape, ServerCounters, ServerProcess, Tables, quantile_ms,
    report::{PerMessage, Report, Waits, by_type},
};

use super::{
    Site,
    generator::Generator,
    platform::Platform,
    sampler::Sampler,
    usage::{BROKER, DATABASE, ServerProcesses, Usage, memory_mib},
};

/// Until the first request, in which the generator starts and opens its connections.
const LEAD: Duration = Duration::from_secs(2);
/// So long before the end the second reading is taken: the generator still runs then.
const CLOSE: Duration = Duration::from_millis(250);
/// How often the backlog is counted while it drains, which is how exact that time is.
const DRAIN_POLL: Duration = Duration::from_millis(50);
const DRAIN: Duration = Duration::from_mins(5);
const WAITS: &str = "accept_to_operator_seconds";
const SERVICES: [&str; 3] = ["api-gateway", "outbox-relay", "delivery-worker"];

/// What is read at both ends of the measured time.
struct Mark {
    usage: Usage,
    clock: NaiveDateTime,
    backlog: u64,
    counters: ServerCounters,
}

#[expect(clippy::disallowed_methods, reason = "two processes agree on a start by the wall clock")]
fn on_wall_clock(time: Instant) -> SystemTime {
    SystemTime::now() + time.saturating_duration_since(Instant::now())
}

/// Offers the load, waits until everything is delivered and tells what was found. Names, floor and the server's
/// settings are left for the caller to fill in.
pub(super) async fn run(platform: &Platform, site: &Site, load: &Load) -> anyhow::Result<Report> {
    let mut tables = Tables::connect(&site.database_url).await?;
    let servers = ServerProcesses::of(site);
    let schedule = Schedule::of(load);
    let start = Instant::now() + LEAD;
    let measured = start + schedule.measured_from();
    let sampler = Sampler::start(tables.connect_beside(&site.database_url).await?, measured);
    let backlog = sampler.latest();
    let note = move || format!(", backlog {}", backlog());
    let generator = Generator::start(&platform.api(), load, on_wall_clock(start), note)?;
    let generator_id = generator.id();
    let marks = async {
        tokio::time::sleep_until(measured.into()).await;
        let waits = platform.worker_metrics().await?;
        let begin = mark(platform, &servers, generator_id, &mut tables).await?;
        tokio::time::sleep_until((start + schedule.measured_until().saturating_sub(CLOSE)).into()).await;
        anyhow::Ok((waits, begin, mark(platform, &servers, generator_id, &mut tables).await?))
    };
    let (outcome, (waits, begin, end)) = tokio::try_join!(generator.finish(), marks)?;
    let answered = Instant::now();
    let [rss_mib, peak_rss_mib] = memory_mib(platform)?;
    drain(&mut tables).await?;
    let drain_s = answered.elapsed().as_secs_f64();
    let backlog = sampler.finish().await?;
    let done = tables.accept_to_done(begin.clock, end.clock).await?;
    let waits = operator_waits(&platform.worker_metrics().await?, &waits, &done);
    let delivered = tables.delivered(begin.clock, end.clock).await?;
    let clock_s = (end.clock - begin.clock).to_std().context("the database's clock went back")?.as_secs_f64();
    let cpu_s = end.usage.since(&begin.usage);
    let services_s: f64 = SERVICES.iter().filter_map(|name| cpu_s.get(*name)).sum();
    Ok(Report {
        machine: machine(),
        delivered_per_s: float(delivered) / clock_s,
        accept_to_operator_ms: waits,
        accept_to_done_ms: by_type(done),
        peak_backlog: backlog.iter().map(|(_, count)| *count).chain([begin.backlog, end.backlog]).max().unwrap_or(0),
        final_backlog: end.backlog,
        drain_s,
        window_s: clock_s,
        cpu_ms_per_message: services_s * 1_000.0 / float(delivered).max(1.0),
        per_message: per_message(&servers, &end.counters.since(&begin.counters), &cpu_s, delivered),
        cpu_s,
        rss_mib,
        peak_rss_mib,
        backlog,
        ..requests(load, outcome)
    })
}

async fn mark(
    platform: &Platform,
    servers: &ServerProcesses,
    generator: u32,
    tables: &mut Tables,
) -> anyhow::Result<Mark> {
    Ok(Mark {
        usage: Usage::now(platform, servers, generator)?,
        clock: tables.now().await?,
        counters: tables.counters().await?,
        backlog: tables.unfinished().await?,
    })
}

/// What the servers did for each of so many delivered recipients.
fn per_message(
    servers: &ServerProcesses,
    done: &ServerCounters,
    cpu_s: &BTreeMap<String, f64>,
    delivered: u64,
) -> PerMessage {
    let each = |count: f64| (delivered > 0).then(|| count / float(delivered));
    let millis = |name| each(cpu_s.get(name)? * 1_000.0);
    let place = |server: &Option<ServerProcess>| server.as_ref().map(ServerProcess::place);
    PerMessage {
        transactions: done.transactions.map(float).and_then(each),
        statements: done.statements.map(float).and_then(each),
        innodb_fsyncs: done.innodb_fsyncs.map(float).and_then(each),
        binlog_syncs: done.binlog_syncs.map(float).and_then(each),
        database_cpu_ms: millis(DATABASE),
        database_in: place(&servers.database),
        broker_cpu_ms: millis(BROKER),
        broker_in: place(&servers.broker),
    }
}

/// Waits until every message has its outcome.
async fn drain(tables: &mut Tables) -> anyhow::Result<()> {
    let end = Instant::now() + DRAIN;
    loop {
        let left = tables.unfinished().await?;
        if left == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{left} messages have no outcome {DRAIN:?} after the load");
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

/// What the client saw.
fn requests(load: &Load, outcome: Outcome) -> Report {
    let per_second = |count: u64| float(count) / outcome.seconds;
    Report {
        target_rps: load.rps,
        achieved_rps: per_second(outcome.total),
        concurrency: load.concurrency,
        accepted_per_s: per_second(outcome.successful),
        recipients: load.recipients,
        outcome,
        ..Report::default()
    }
}

/// What the worker's histogram has got since the load began to count, by type. Its buckets are wide; what is known
/// exactly, the time to the recorded delivery, is never shorter and so bounds what is interpolated.
fn operator_waits(now: &Scrape, before: &Scrape, done: &DoneLatencies) -> BTreeMap<String, Waits> {
    let of_type = |kind: &str| {
        let buckets = now.buckets_since(before, WAITS, &format!("type=\"{kind}\""));
        let at = |quantile| quantile_ms(&buckets, quantile).map(|millis| (millis * 100.0).round() / 100.0);
        let waits = Waits { p50: at(0.5)?, p99: at(0.99)? };
        let bounded =
            done.get(kind).map_or(waits, |done| Waits { p50: waits.p50.min(done.p50), p99: waits.p99.min(done.p99) });
        Some((kind.to_owned(), bounded))
    };
    ["normal", "express"].into_iter().filter_map(of_type).collect()
}

/// Cores, processor, memory, kernel.
pub(super) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0u64);
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {processor}, {} MiB, Linux {}", memory / 1_024, kernel.trim())
}

fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use loadtest::Latency;

    use super::*;

    #[test]
    fn waits_are_those_of_this_run_alone() {
        let scrape = |below: u32, all: u32| {
            Scrape::parse(&format!(
                "{WAITS}_bucket{{type=\"normal\",le=\"0.01\"}} {below}\n{WAITS}_bucket{{type=\"normal\",le=\"0.02\"}} {all}\n"
            ))
        };
        let waits = |done| operator_waits(&scrape(10, 110), &scrape(10, 10), &done);
        let expected = |p99| BTreeMap::from([("normal".to_owned(), Waits { p50: 15.0, p99 })]);
        assert_eq!(waits(DoneLatencies::new()), expected(19.9));
        let done = Latency { p50: 16.0, p99: 17.0, ..Latency::default() };
        assert_eq!(waits(DoneLatencies::from([("normal", done)])), expected(17.0));
    }

    #[test]
    fn work_is_shared_out_among_what_was_delivered() {
        let servers = ServerProcesses { database: None, broker: None };
        let done = ServerCounters { transactions: Some(50), innodb_fsyncs: Some(25), ..ServerCounters::default() };
        let cpu_s = BTreeMap::from([(DATABASE.to_owned(), 0.1)]);
        let each = per_message(&servers, &done, &cpu_s, 100);
        assert_eq!((each.transactions, each.statements, each.innodb_fsyncs), (Some(0.5), None, Some(0.25)));
        assert_eq!((each.database_cpu_ms, each.broker_cpu_ms), (Some(1.0), None));
        assert_eq!(per_message(&servers, &done, &cpu_s, 0), PerMessage::default());
    }

    #[test]
    fn the_machine_has_cores_and_memory() {
        let text = machine();
        assert!(!text.starts_with("0 cores") && !text.contains(" 0 MiB"), "{text}");
    }
}
