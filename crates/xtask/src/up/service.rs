//! One service process: its log lines under its name, its end.

use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _},
    path::Path,
    process::{ExitStatus, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context;
use test_support::guarded::{self, Ending, Guarded};

pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const YELLOW: &str = "\x1b[33m";
pub(super) const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

pub(super) struct Service {
    name: &'static str,
    process: Guarded,
    shown: Vec<JoinHandle<()>>,
}

impl Service {
    /// Starts a service with our environment and these variables; its output appears line by line under its name.
    pub(super) fn start(
        name: &'static str,
        colour: &'static str,
        binary: &Path,
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> anyhow::Result<Self> {
        let mut command = guarded::command(binary);
        command.envs(variables).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Guarded::spawn(&mut command, Ending::Kill).with_context(|| format!("starting {name}"))?;
        let prefix = if std::io::stdout().is_terminal() {
            format!("{colour}{name:>15}{RESET} | ")
        } else {
            format!("{name:>15} | ")
        };
        let (output, errors) = process.output();
        let shown = vec![
            show(prefix.clone(), output.context("the service's standard output is piped")?),
            show(prefix, errors.context("the service's standard error is piped")?),
        ];
        Ok(Self { name, process, shown })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.process.try_wait()
    }

    /// SIGTERM, and SIGKILL at the deadline; returns when its last line is shown.
    pub(super) async fn stop(&mut self, drain: Duration) {
        let had_ended = self.process.try_wait().is_some();
        let status = self.process.terminate(drain).await;
        for thread in self.shown.drain(..) {
            let _ = thread.join();
        }
        match status {
            _ if had_ended => {}
            Some(status) if status.success() => eprintln!("{} has stopped", self.name),
            Some(status) => eprintln!("{} has stopped with {status}", self.name),
            None => eprintln!("{} cannot be waited for", self.name),
        }
    }
}

/// Copies lines to standard output on a thread that ends with the stream.
fn show(prefix: String, stream: impl Read + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            let mut whole = prefix.clone().into_bytes();
            whole.extend(line);
            whole.push(b'\n');
            // One write per line keeps the lines of several processes apart.
            let _ = std::io::stdout().lock().write_all(&whole);
        }
    })
}
