//! `cargo xtask bench`: a scenario on release builds, from servers to report.

mod backlog;
mod generator;
mod highest;
mod measure;
mod platform;
mod sampler;
mod scenario;
mod usage;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::ensure;
use clap::ValueEnum;
use loadtest::{Load, LoadArgs, Tables, report::Report};
use test_support::{
    create_database,
    provision::{Backend, Given, Servers},
};

use crate::servers;
use platform::Platform;
use scenario::{Mode, Plan, Scenario};

const DATABASE: &str = "messaging";
/// How long the bare client runs for the floor.
const FLOOR: Duration = Duration::from_secs(10);
/// Credits of each user: more than any run can spend.
const BALANCE: i64 = 1_000_000_000;

/// What to run and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is measured
    #[arg(long, value_enum, default_value_t)]
    scenario: Scenario,
    /// Folder for NAME.json, NAME.md and NAME.svg
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// In the worker, or as two servers that answer at once, over HTTP or SMPP
    #[arg(long, value_enum, default_value_t)]
    operators: Operators,
    #[command(flatten)]
    load: LoadArgs,
    /// Connections of the bare database client
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    floor_connections: u32,
    /// Events that wait, in scenario backlog [default: 0,10000,100000,1000000]
    #[arg(long, value_delimiter = ',')]
    waiting: Option<Vec<u64>>,
    /// A database to use as it is: mysql://user:password@host:port/name
    #[arg(long, requires = "rabbit_uri")]
    database_url: Option<String>,
    /// A RabbitMQ to use as it is: amqp://user:password@host:port
    #[arg(long, requires = "database_url")]
    rabbit_uri: Option<String>,
}

/// Who takes the messages in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Operators {
    /// `simulated:` operators in the worker
    #[default]
    Simulated,
    /// Two operator simulators over HTTP
    Http,
    /// Two operator simulators over SMPP
    Smpp,
}

/// The servers of a run.
struct Site {
    database_url: String,
    rabbit_uri: String,
    /// Ours to stop; `None` for given ones.
    servers: Option<Servers>,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let is_backlog = arguments.scenario == Scenario::Backlog;
    ensure!(is_backlog || arguments.waiting.is_none(), "--waiting is only for --scenario backlog");
    if is_backlog {
        platform::build_generator().await?;
    } else {
        platform::build(arguments.operators).await?;
    }
    let site = site(&arguments).await?;
    let measuring = async {
        if is_backlog { backlog::run(&arguments, &site).await } else { measure_and_save(&arguments, &site).await }
    };
    let outcome = servers::unless_interrupted(Box::pin(measuring)).await;
    if let Some(started) = site.servers {
        servers::stop(started).await;
    }
    outcome
}

async fn site(arguments: &Arguments) -> anyhow::Result<Site> {
    if let (Some(database_url), Some(rabbit_uri)) = (&arguments.database_url, &arguments.rabbit_uri) {
        return Ok(Site { database_url: database_url.clone(), rabbit_uri: rabbit_uri.clone(), servers: None });
    }
    let (backend, servers) = servers::provision(Given::ForServices).await?;
    let database_url = match backend {
        Backend::Env(_) => servers.database_url().to_owned(),
        Backend::Docker | Backend::Local => create_database(servers.database_url(), DATABASE).await?,
    };
    Ok(Site { database_url, rabbit_uri: servers.rabbit_uri().to_owned(), servers: Some(servers) })
}

async fn measure_and_save(arguments: &Arguments, site: &Site) -> anyhow::Result<ExitCode> {
    let plan = arguments.scenario.plan(&arguments.load);
    let mut platform = Platform::start(site, &plan, arguments.operators).await?;
    let busy_before = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let measured = measure(&platform, &plan, site).await?;
    // The services would take part in the bare client's work.
    platform.stop().await;
    eprintln!("measuring what the database alone can do, {FLOOR:?}");
    let load = Load { duration: FLOOR, ..plan.load };
    let floor = generator::floor(&site.database_url, &load, arguments.floor_connections).await;
    // What was measured before is worth keeping without it.
    let no_floor =
        floor.as_ref().err().map(|error| format!("what the database alone can do was not measured: {error:#}"));
    let floor = floor.unwrap_or_default();
    let mut tables = Tables::connect(&site.database_url).await?;
    let busy = busy_before.split_whitespace().next().unwrap_or("unknown").to_owned();
    let report = Report {
        scenario: arguments.scenario.name().to_owned(),
        command: arguments.command(),
        notes: [plan.notes, measured.notes, vec![format!("load average when the run began: {busy}")]]
            .into_iter()
            .flatten()
            .chain(no_floor)
            .collect(),
        durability: tables.durability().await?,
        floor_per_s: floor.per_second,
        fraction_of_floor: if floor.per_second > 0.0 { measured.delivered_per_s / floor.per_second } else { 0.0 },
        floor,
        ledger_mismatches: tables.ledger_mismatches().await?,
        ..measured
    };
    report.save(&arguments.out)?;
    println!("\n{report}");
    eprintln!("saved in {}", arguments.out.display());
    ensure!(report.ledger_mismatches == 0, "balances differ from their ledger");
    Ok(ExitCode::SUCCESS)
}

/// The load of the plan, or the highest that holds.
async fn measure(platform: &Platform, plan: &Plan, site: &Site) -> anyhow::Result<Report> {
    match plan.mode {
        Mode::Fixed => measure::run(platform, site, &plan.load).await,
        Mode::Highest { step } => highest::run(platform, site, &plan.load, step).await,
    }
}

impl Arguments {
    /// The command to repeat the run with; without URLs, for they hold passwords.
    fn command(&self) -> String {
        let scenario = self.scenario;
        let mut words = vec![format!("cargo xtask bench --scenario {}", scenario.name())];
        match self.operators {
            Operators::Simulated => {}
            Operators::Http => words.push("--operators http".to_owned()),
            Operators::Smpp => words.push("--operators smpp".to_owned()),
        }
        if let Some(waiting) = &self.waiting {
            let waiting: Vec<_> = waiting.iter().map(u64::to_string).collect();
            words.push(format!("--waiting {}", waiting.join(",")));
        }
        words.extend(self.load.over(scenario.load()).arguments_over(&scenario.load()));
        words.join(" ")
    }
}
