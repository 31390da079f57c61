//! Short commands with a time limit.

use std::{
    ffi::OsStr,
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// Runs a command to its end; what it printed is only part of the error.
pub(super) fn run(program: &str, arguments: &[&str], limit: Duration) -> anyhow::Result<()> {
    let mut errors = tempfile::tempfile().context("a file for what a command prints")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone().context("a file for what a command prints")?)
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("waiting for {program}"))? {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{program} {} did not end within {limit:?}", arguments.join(" "));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    let _ = std::io::Seek::rewind(&mut errors).and_then(|()| errors.read_to_string(&mut text));
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
    bail!("{program} {} failed ({status}): {}", arguments.first().unwrap_or(&""), last.trim())
}

/// The first of these programs that exists in `PATH` or where servers are usually installed.
pub(super) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual =
        ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/mysql/bin"].map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(usual).collect();
    let found = |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    names.iter().find_map(found)
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(super) fn succeeds(program: &str, arguments: &[impl AsRef<OsStr>]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
