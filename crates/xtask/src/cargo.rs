//! Running cargo so that it ends with us.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus},
};

use anyhow::{Context, bail};
use test_support::guarded::{self, Ending, Guarded, Signal};

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root.pop();
    root
}

/// The cargo that runs us.
pub(crate) fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// `cargo <arguments>` in the root folder.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = guarded::command(program());
    command.args(arguments).current_dir(root());
    // What `cargo run` tells us about ourselves is an input of some build scripts: passed on, it would have their
    // crates and all that depends on them built again, and once more by the next plain `cargo build`.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_us) {
            command.env_remove(name);
        }
    }
    command
}

fn describes_us(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_") || variable == "CARGO"
}

/// Runs a command made by [`command`] to its end; Ctrl-C is passed on to it.
pub(crate) async fn finish(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let mut running = Guarded::spawn(command, Ending::Terminate)?;
    let mut interrupts =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).context("listening for Ctrl-C")?;
    loop {
        tokio::select! {
            status = running.ended() => return Ok(status),
            _ = interrupts.recv() => running.signal_group(Signal::INT),
        }
    }
}

/// As [`finish`], for a command whose failure ends everything.
pub(crate) async fn succeed(arguments: &[&str]) -> anyhow::Result<()> {
    let status = finish(&mut command(arguments)).await?;
    if status.success() { Ok(()) } else { bail!("cargo {} failed ({status})", arguments.join(" ")) }
}

/// The exit code to end with when a child ended so; being ended by a signal is a failure.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
