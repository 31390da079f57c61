//! `cargo xtask upgrade`: services of an older revision are replaced by those of this tree, and back, under traffic.
//!
//! It asks the older release whether the newer schema lets it go on. If so, every order of replacing the services is
//! tried, each on an empty database. If not, all of them have to stop, so there is one way only, and what is checked is
//! that they are kept off in time and that nothing is lost over it.

mod course;
mod fleet;
mod order;
mod release;
mod stream;
mod table;
mod verdict;
mod watch;

use std::{process::ExitCode, time::Duration};

use loadtest::{Load, parse_duration};
use test_support::provision::{Given, Servers};

use crate::servers;
use course::Course;
use order::Order;
use release::Release;
use table::{Row, Table};
use verdict::Kind;

/// What is replaced, and under which traffic.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The revision whose services are replaced by those of this tree
    #[arg(long, value_name = "REV")]
    from: String,
    /// How long each order has traffic at least: 10s, 1m, 500ms or seconds
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// Requests a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rps: u32,
    /// Build both with optimisations
    #[arg(long)]
    release: bool,
}

/// What every order is tried with.
struct Plan<'a> {
    old: &'a Release,
    new: &'a Release,
    servers: &'a Servers,
    load: Load,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let old = Release::of_revision(&arguments.from, arguments.release).await?;
    let new = Release::of_this_tree(arguments.release).await?;
    let (_, servers) = servers::provision(Given::ForTests).await?;
    let plan = Plan { old: &old, new: &new, servers: &servers, load: arguments.load() };
    let outcome = servers::unless_interrupted(Box::pin(try_all(&plan))).await;
    servers::stop(servers).await;
    let (kind, rows) = outcome?;
    let table = Table(&rows);
    println!("\n{table}");
    println!("{}", conclusion(kind, table.is_clean()));
    Ok(if table.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tries the orders; a stopping change has but one way.
async fn try_all(plan: &Plan<'_>) -> anyhow::Result<(Kind, Vec<Row>)> {
    let mut rows = Vec::new();
    let mut kind = Kind::Same;
    for (number, order) in (1..).zip(Order::ALL) {
        eprintln!("[{number}/{}] {order}", Order::ALL.len());
        let (found, row) = try_one(plan, order).await?;
        eprintln!("  {} delivered, {} mismatches", row.delivered, row.mismatches.len());
        rows.push(row);
        kind = found;
        if kind == Kind::Stopping {
            break;
        }
    }
    Ok((kind, rows))
}

/// Tries an order, and keeps what the services wrote where something is not as it should be.
async fn try_one(plan: &Plan<'_>, order: Order) -> anyhow::Result<(Kind, Row)> {
    let mut course = Course::prepare(plan).await?;
    let outcome = walk(&mut course, order).await;
    if outcome.as_ref().map_or(true, |(_, row)| !row.mismatches.is_empty()) {
        course.save_output(order)?;
    }
    course.clean_up().await?;
    outcome
}

async fn walk(course: &mut Course<'_>, order: Order) -> anyhow::Result<(Kind, Row)> {
    course.start_old().await?;
    let kind = course.migrate().await?;
    if kind == Kind::Stopping {
        course.stop_and_start().await?;
        return Ok((kind, course.conclude("all at once".to_owned(), true).await?));
    }
    course.replace(order).await?;
    Ok((kind, course.conclude(order.to_string(), false).await?))
}

fn conclusion(kind: Kind, is_clean: bool) -> &'static str {
    match (kind, is_clean) {
        (_, false) => "the upgrade is not safe: see above",
        (Kind::Same, true) => "same schema: services may be replaced one by one, in any order, and back",
        (Kind::Rolling, true) => "rolling change: services may be replaced one by one, in any order, and back",
        (Kind::Stopping, true) => "stopping change: services must be stopped",
    }
}

impl Arguments {
    fn load(&self) -> Load {
        Load {
            rps: f64::from(self.rps),
            concurrency: 16,
            duration: self.duration,
            warmup: Duration::ZERO,
            users: 100,
            ..Load::default()
        }
    }
}
