//! `cargo xtask`: provisions servers, runs the services, runs the tests and the checks.

mod bench;
mod cargo;
mod directions;
mod key;
mod lint;
mod migrate;
mod peers;
mod servers;
mod services;
mod test;
mod up;
mod upgrade;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs the platform, its tests and its checks on this machine.
///
/// Commands that need servers take, in this order: running ones named by environment variables; containers, where a
/// Docker engine answers; private instances of the server binaries on this machine, which are installed first on Debian
/// and Ubuntu as root or with sudo. `TEST_BACKEND=env|docker|local` forces one. What a command starts ends with it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run api-gateway, outbox-relay and delivery-worker against a database and a RabbitMQ, until Ctrl-C
    ///
    /// Given servers are named by `DATABASE_URL` and `RABBIT_URI`. Other variables are passed on to the three processes.
    Up {
        /// Build with optimisations
        #[arg(long)]
        release: bool,
    },
    /// Build the binaries, provision the servers and run every test
    ///
    /// Given servers are named by `TEST_DATABASE_URL` and `TEST_RABBIT_URI`. Uses cargo-nextest where it is installed.
    Test {
        /// Passed on to `cargo nextest run` (or `cargo test`), e.g. `-- -p persistence`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Run a load against the three services, and measure what it costs and what becomes of it
    Bench(bench::Arguments),
    /// Replace the services of an older revision one by one under traffic, in every order, and count what becomes of it
    ///
    /// Given servers are named by `TEST_DATABASE_URL` and `TEST_RABBIT_URI`.
    Upgrade(upgrade::Arguments),
    /// Send messages to SMSCs that others made, by all their behaviours, and look at what becomes of them
    Peers(peers::Arguments),
    /// Provision the servers, print their URLs and wait for Ctrl-C
    Servers,
    /// Change or show the schema of the database at `DATABASE_URL`
    Migrate {
        #[arg(value_enum, default_value_t)]
        action: migrate::Action,
    },
    /// Print a new key for `ADMIN_API_KEY`, without asking anything of anybody
    Key {
        /// Print a token for `RECEIPT_SECRETS` in its place, for an operator that cannot sign
        #[arg(long)]
        receipt: bool,
    },
    /// Run the static checks: format, clippy, docs, cargo-deny and the import directions
    Lint,
    /// Check that workspace crates import only what they may, and that no files import each other in a circle
    Directions,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Up { release } => up::run(release).await,
        Command::Test { arguments } => test::run(&arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Upgrade(arguments) => upgrade::run(arguments).await,
        Command::Peers(arguments) => peers::run(arguments).await,
        Command::Servers => servers::run().await,
        Command::Migrate { action } => migrate::run(action).await,
        Command::Key { receipt } => key::run(receipt),
        Command::Lint => lint::run().await,
        Command::Directions => directions::run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
