//! A program as a process under test, to be killed, paused and asked to stop.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::NamedTempFile;

use crate::{
    guarded::{self, Ending, Guarded},
    wait_until,
};

const SHOWN_LINES: usize = 200;
const LAST_LINES: usize = 20;

/// A process under test; killed when dropped. When the test fails, the end of its output is shown.
pub struct Process {
    name: String,
    guarded: Guarded,
    output: NamedTempFile,
}

impl Process {
    /// Starts a binary with only the given variables, `PATH` and those of `RUST_*`: nothing of the developer's
    /// environment (`DATABASE_URL`, ...) leaks into it.
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    pub fn start<K: AsRef<str>, V: AsRef<str>>(
        binary: &Path,
        arguments: &[&str],
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let name = binary.file_name().unwrap_or(binary.as_os_str()).to_string_lossy().into_owned();
        let output = NamedTempFile::new().expect("a file for the output");
        let stream = || File::options().append(true).open(output.path()).expect("the output file opens");
        let inherited =
            std::env::vars_os().filter(|(key, _)| key == "PATH" || key.to_string_lossy().starts_with("RUST_"));
        let mut command = guarded::command(binary);
        command.args(arguments).env_clear().envs(inherited).stdout(stream()).stderr(stream());
        for (key, value) in env {
            command.env(key.as_ref(), value.as_ref());
        }
        let guarded = Guarded::spawn(&mut command, Ending::Kill).expect("the process starts");
        Self { name, guarded, output }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.guarded.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.guarded.try_wait().is_none()
    }

    /// `kill -9`; returns when the process is gone.
    pub fn kill(&mut self) {
        self.guarded.kill();
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Panics
    ///
    /// When the process still runs after `deadline`.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.guarded.signal(Signal::TERM);
        self.wait(deadline).await
    }

    /// Waits until the process ends by itself.
    ///
    /// # Panics
    ///
    /// When the process still runs after `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let ended = self.guarded.wait(deadline).await;
        ended.unwrap_or_else(|| panic!("{} still runs after {deadline:?}", self.name))
    }

    /// Stops the process in its tracks (SIGSTOP) until [`Process::resume`].
    pub fn pause(&mut self) {
        self.guarded.signal_group(Signal::STOP);
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&mut self) {
        self.guarded.signal_group(Signal::CONT);
    }

    /// What it has written so far to standard output and error.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.output.path()).unwrap_or_default()).into_owned()
    }

    /// The end of what it has written so far.
    pub(crate) fn last_lines(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// Waits for a line that has all these parts; gives it.
    ///
    /// # Panics
    ///
    /// When there is none after `deadline`, or the process ends without one.
    pub async fn line_with(&mut self, parts: &[&str], deadline: Duration) -> String {
        wait_until(deadline, &format!("a line of {} with {parts:?}", self.name), async || {
            let is_running = self.is_running();
            let output = self.output();
            let found = output.lines().find(|line| parts.iter().all(|part| line.contains(part)));
            assert!(found.is_some() || is_running, "{} ended without a line with {parts:?}", self.name);
            found.map(str::to_owned)
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.guarded.kill();
        if std::thread::panicking() {
            let output = self.output();
            let skipped = output.lines().count().saturating_sub(SHOWN_LINES);
            eprintln!("--- output of {} ({skipped} earlier lines not shown)", self.name);
            output.lines().skip(skipped).for_each(|line| eprintln!("{line}"));
            eprintln!("--- end of the output of {}", self.name);
        }
    }
}

/// The binary of this name that cargo built in the same profile as the running test.
///
/// # Panics
///
/// When there is none.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    // target/<profile>/deps/<test>
    let profile = test.parent().and_then(Path::parent).expect("tests are built below the profile's folder");
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "no {name} in {}: build the binaries first: cargo build --workspace --bins, or run cargo xtask test",
        profile.display()
    );
    path
}
