//! `loadtest`: loads a running API, gives its users balances to spend, or measures the database beneath it.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use loadtest::{
    DueTimes, Load, LoadArgs, Outcome, Progress, Target, Traffic, drive, insert_scheduled, measure_claims,
    measure_floor, parse_duration, report, seed_database, seed_http,
};

/// Drives POST /messages/send of a running API at a fixed rate and prints what came of it.
///
/// The gateway's rate limits apply: start it with `GLOBAL_RATE_LIMIT_RPS=0 USER_RATE_LIMIT_RPS=0` to measure the rest.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Args {
    /// Where the API is
    #[arg(long, default_value = "http://localhost:8080", value_parser = Target::parse)]
    base_url: Target,
    /// A platform key with the scopes `send` and `topup`, where the API asks for one
    #[arg(long, env = "API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    #[command(flatten)]
    load: LoadArgs,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// When the first request starts, in milliseconds since 1970; in a second if it is not given
    #[arg(long)]
    start_at_ms: Option<u64>,
    /// Add balances for the users instead
    #[arg(long, conflicts_with = "floor")]
    seed_only: bool,
    /// In the database directly, or through the API
    #[arg(long, value_enum, default_value_t = SeedMethod::Database)]
    seed_method: SeedMethod,
    /// Credits for each user
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000_000_000))]
    seed_balance: i64,
    /// Measure instead how fast a bare client with so many connections writes the same rows; no service may run
    #[arg(long, value_name = "CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..=64))]
    floor: Option<u32>,
    /// Measure instead what a relay's claims cost with so many events waiting, e.g. 0,10000; in an empty database, as JSON
    #[arg(long, value_name = "WAITING", value_delimiter = ',', conflicts_with_all = ["floor", "seed_only"])]
    claims: Option<Vec<u64>>,
    /// Store instead so many messages of the load that wait for their time, as gateways do; the users must have balances
    #[arg(long, value_name = "MESSAGES", conflicts_with_all = ["floor", "seed_only", "claims"])]
    scheduled: Option<u64>,
    /// When the first of them falls due
    #[arg(long, default_value = "1m", value_parser = parse_duration, requires = "scheduled")]
    due_in: Duration,
    /// How long after that the last of them does
    #[arg(long, default_value = "0s", value_parser = parse_duration, requires = "scheduled")]
    due_over: Duration,
    /// The database to seed or measure: mysql://user:password@host:port/name
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SeedMethod {
    #[value(alias = "db")]
    Database,
    Http,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = Args::parse();
    if let Some(key) = &args.api_key {
        args.base_url = args.base_url.with_key(key)?;
    }
    let load = args.load.over(Load::default());
    if let Some(sizes) = &args.claims {
        let costs = measure_claims(args.database_url()?, &load, sizes, |line| eprintln!("{line}")).await?;
        println!("{}", serde_json::to_string(&costs)?);
        return Ok(());
    }
    if let Some(count) = args.scheduled {
        return schedule(&args, &load, count).await;
    }
    match args.floor {
        Some(connections) => floor(&args, &load, connections as usize).await,
        None if args.seed_only => seed(&args, load.users).await,
        None => run(args, load).await,
    }
}

async fn seed(args: &Args, users: u32) -> anyhow::Result<()> {
    match args.seed_method {
        SeedMethod::Http => seed_http(&args.base_url, users, args.seed_balance).await?,
        SeedMethod::Database => {
            seed_database(args.database_url()?, users, args.seed_balance).await?;
        }
    }
    println!("added {} credits to each of users 1 to {users}", args.seed_balance);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a person says how far from now")]
async fn schedule(args: &Args, load: &Load, count: u64) -> anyhow::Result<()> {
    let due = DueTimes { count, first: (SystemTime::now() + args.due_in).into(), over: args.due_over };
    let tell = |stored| eprintln!("{stored} of {count} messages wait for their time");
    insert_scheduled(args.database_url()?, &Traffic::of(load), due, tell).await?;
    println!("{count} messages fall due from {} on", due.first);
    Ok(())
}

async fn floor(args: &Args, load: &Load, connections: usize) -> anyhow::Result<()> {
    let floor = measure_floor(args.database_url()?, load, connections, load.duration).await?;
    if args.json {
        println!("{}", serde_json::to_string(&floor)?);
    } else {
        println!("{:.0} recipients a second over {connections} connections", floor.per_second);
    }
    Ok(())
}

async fn run(args: Args, load: Load) -> anyhow::Result<()> {
    let start = args.start_at_ms.map_or_else(|| Instant::now() + Duration::from_secs(1), instant);
    let (tally, took) = drive(args.base_url, load, start, |progress: Progress| eprintln!("{progress}")).await?;
    let outcome = Outcome::of(&tally, took);
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("\n{}", report::request_table(load.rps, load.concurrency, &outcome));
    }
    Ok(())
}

/// A time of the wall clock on the clock of this process.
#[expect(clippy::disallowed_methods, reason = "two processes agree on a start by the wall clock")]
fn instant(unix_millis: u64) -> Instant {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(unix_millis);
    Instant::now() + time.duration_since(SystemTime::now()).unwrap_or_default()
}

impl Args {
    fn database_url(&self) -> anyhow::Result<&str> {
        self.database_url.as_deref().context("set DATABASE_URL")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Args::command().debug_assert();
    }
}
