//! `cargo xtask migrate`.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::cargo;

/// What to do with the schema.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Action {
    /// Apply what is pending
    Up,
    /// Take back the newest migration
    Down,
    /// Show what is applied
    #[default]
    Status,
}

pub(crate) async fn run(action: Action) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty()),
        "DATABASE_URL is not set: mysql://user:password@host:port/name, or sqlite://file?mode=rwc"
    );
    let word = match action {
        Action::Up => "up",
        Action::Down => "down",
        Action::Status => "status",
    };
    let mut command = cargo::command(&["run", "--quiet", "--package", "migrations", "--bin", "migrate", "--", word]);
    Ok(cargo::exit_code(cargo::finish(&mut command).await?))
}
