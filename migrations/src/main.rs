//! `migrate [up|down|status]`: the schema by hand, or as a job before the services start.
//!
//! Exit code 0: done, or for `status`: this release can work on the schema. 1: an error, named on standard error. 2, of `status`
//! only: changes are pending, or a newer release has made some that this one does not run on.

use std::process::ExitCode;

use anyhow::{Context, bail};
use migrations::State;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    #[expect(clippy::disallowed_methods, reason = "a command without the services' settings")]
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set: mysql://user:password@host:port/name")?;
    let command = std::env::args().nth(1);
    let command = command.as_deref().unwrap_or("up");
    match command {
        "up" => migrations::up(&url).await.context("migrating up")?,
        "down" => migrations::down(&url, Some(1)).await.context("taking back the newest migration")?,
        "status" => {}
        other => bail!("{other} is not a command: use up, down (one step) or status"),
    }
    let changes = migrations::status(&url).await.context("reading which migrations are applied")?;
    for change in &changes {
        println!("{} {}", change.state.as_str(), change.name);
    }
    let fits = changes.iter().all(|change| matches!(change.state, State::Applied | State::Newer));
    Ok(if command == "status" && !fits { ExitCode::from(2) } else { ExitCode::SUCCESS })
}
