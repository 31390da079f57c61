//! The load generator as a process: built with optimisations whatever this one is, and accounted for by itself.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{ChildStderr, ChildStdout, Command, Stdio},
    thread::JoinHandle,
    time::SystemTime,
};

use anyhow::{Context, ensure};
use loadtest::{ClaimCost, Floor, Load, Target};
use serde::de::DeserializeOwned;
use test_support::guarded::{self, Ending, Guarded};

use crate::up;

/// A running load.
pub(super) struct Generator {
    process: Guarded,
    output: ChildStdout,
    lines: JoinHandle<()>,
}

impl Generator {
    /// Offers a load from `start` on. Its lines of progress are shown with what `note` says.
    pub(super) fn start(
        target: &Target,
        load: &Load,
        start: SystemTime,
        note: impl Fn() -> String + Send + 'static,
    ) -> anyhow::Result<Self> {
        let start = start.duration_since(SystemTime::UNIX_EPOCH).context("this machine's clock is before 1970")?;
        let mut command = guarded::command(up::binaries(true)?.join("loadtest"));
        command.args(["--json", "--base-url", &target.to_string(), "--start-at-ms", &start.as_millis().to_string()]);
        command.args(load.arguments());
        Self::spawn(command, note)
    }

    fn spawn(mut command: Command, note: impl Fn() -> String + Send + 'static) -> anyhow::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Guarded::spawn(&mut command, Ending::Kill).context("starting loadtest")?;
        let (output, errors) = process.output();
        let output = output.context("its standard output is piped")?;
        let lines = show(errors.context("its standard error is piped")?, note);
        Ok(Self { process, output, lines })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end and reads the one value that it prints: an [`Outcome`](loadtest::Outcome).
    pub(super) async fn finish<T: DeserializeOwned>(self) -> anyhow::Result<T> {
        let Self { mut process, mut output, lines } = self;
        let text = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).map(|_| text)
        });
        let status = process.ended().await;
        let _ = lines.join();
        ensure!(status.success(), "loadtest failed ({status})");
        let text = text.await.context("reading what loadtest printed")?.context("reading what loadtest printed")?;
        serde_json::from_str(&text).context("reading what loadtest printed")
    }
}

/// What a bare database client reaches with this load.
pub(super) async fn floor(database_url: &str, load: &Load, connections: u32) -> anyhow::Result<Floor> {
    let mut command = guarded::command(up::binaries(true)?.join("loadtest"));
    command
        .args(["--json", "--floor", &connections.to_string()])
        .args(load.arguments())
        .env("DATABASE_URL", database_url);
    Generator::spawn(command, String::new)?.finish().await
}

/// What a relay's claims cost with so many events waiting.
pub(super) async fn claims(database_url: &str, load: &Load, sizes: &[u64]) -> anyhow::Result<Vec<ClaimCost>> {
    let sizes: Vec<_> = sizes.iter().map(u64::to_string).collect();
    let mut command = guarded::command(up::binaries(true)?.join("loadtest"));
    command.args(["--claims", &sizes.join(",")]).args(load.arguments()).env("DATABASE_URL", database_url);
    Generator::spawn(command, String::new)?.finish().await
}

fn show(errors: ChildStderr, note: impl Fn() -> String + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            eprintln!("{line}{}", note());
        }
    })
}
