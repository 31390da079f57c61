//! `migrate [up|down|status]`: the schema by hand, or as a job before the services start.
//!
//! Exit code 0: done, or for `status`: this release can work on the schema. 1: an error, named on standard error. 2, of `status`
//! only: changes are pending, or a newer release has made some that this one does not run on.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context, bail};
use migrations::{Address, State};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        // In one line; where stderr is gone too, the exit code is left.
        let _unread = writeln!(io::stderr(), "migrate: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run() -> anyhow::Result<ExitCode> {
    let address = address()?;
    let url = address.url();
    let command = std::env::args().nth(1);
    let command = command.as_deref().unwrap_or("up");
    match command {
        "up" => migrations::up(url).await.context("migrating up")?,
        "down" => migrations::down(url, Some(1)).await.context("taking back the newest migration")?,
        "status" => {}
        other => bail!("{other} is not a command: use up, down (one step) or status"),
    }
    let changes = migrations::status(url).await.context("reading which migrations are applied")?;
    for change in &changes {
        writeln!(io::stdout(), "{} {}", change.state.as_str(), change.name)
            .context("writing which migrations are applied")?;
    }
    let fits = changes.iter().all(|change| matches!(change.state, State::Applied | State::Newer));
    Ok(if command == "status" && !fits { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// `DATABASE_URL`, or made from `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER_NAME`, `DB_PASSWORD` as the services make it.
fn address() -> anyhow::Result<Address> {
    if let Some(url) = variable("DATABASE_URL") {
        return Address::parse(&url).context("DATABASE_URL=[hidden] is not accepted");
    }
    let host = variable("DB_HOST").context(
        "neither DATABASE_URL (mysql://user:password@host:port/name) nor DB_HOST is set: which database is meant?",
    )?;
    let port = variable("DB_PORT").unwrap_or_else(|| "3306".to_owned());
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .with_context(|| format!("DB_PORT={port} is not accepted: it must be a whole number from 1 to 65535"))?;
    let name = variable("DB_NAME").unwrap_or_else(|| "messaging_platform".to_owned());
    let user = variable("DB_USER_NAME").unwrap_or_else(|| "message_user".to_owned());
    let password = variable("DB_PASSWORD").unwrap_or_default();
    Address::at_server((&host, port), &name, (&user, &password)).context("DB_HOST or DB_NAME is not accepted")
}

/// An empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "a command without the services' settings")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
