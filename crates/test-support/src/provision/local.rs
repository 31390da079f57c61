//! Servers as private processes of this machine, each with its own folder and port.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use super::command::{is_root, run, succeeds};
use crate::{
    guarded::{self, Ending, Guarded},
    lifeline::Lifeline,
};

const CHOWN: Duration = Duration::from_secs(20);
const TOOL: Duration = Duration::from_mins(1);

/// A folder for one server's data, removed with this value or with this process.
pub(super) struct Scratch {
    folder: TempDir,
    owner: Option<String>,
    _lifeline: Lifeline,
}

impl Scratch {
    /// The folder belongs to `user` where this process may become somebody else, to this user otherwise.
    pub(super) fn create(user: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("messaging-test-").tempdir().context("making a data folder")?;
        let lifeline = Lifeline::removes_folder(folder.path())?;
        let owner = is_root().then(|| if succeeds("id", &["-u", user]) { user } else { "nobody" }.to_owned());
        let scratch = Self { folder, owner, _lifeline: lifeline };
        scratch.hand_over()?;
        Ok(scratch)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file that only the server may read.
    pub(super) fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        self.hand_over()?;
        Ok(path)
    }

    /// A command that runs in this folder as its owner, with nothing of our environment but `PATH`.
    pub(super) fn command(&self, program: &Path) -> anyhow::Result<Command> {
        let mut command = match &self.owner {
            Some(user) => {
                let mut command = guarded::command("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .args(["--regid", &group_of(user)?, "--clear-groups", "--"])
                    .arg(program);
                command
            }
            None => guarded::command(program),
        };
        let log = File::options().create(true).append(true).open(self.log_path()).context("opening a server's log")?;
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            // Not that of all: a MariaDB that starts removes what it takes for leftovers there, as of one that starts beside it.
            .env("TMPDIR", self.path())
            .env("LC_ALL", "C.UTF-8")
            .stdout(log.try_clone().context("opening a server's log")?)
            .stderr(log);
        Ok(command)
    }

    /// The last lines that the folder's processes printed.
    pub(super) fn log_tail(&self) -> String {
        let log = String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("output.log")
    }

    fn hand_over(&self) -> anyhow::Result<()> {
        let Some(user) = &self.owner else { return Ok(()) };
        let owner = format!("{user}:");
        let folder = self.path().to_string_lossy();
        run("chown", &["-R", &owner, &folder], CHOWN).context("handing a data folder to the server's user")
    }
}

fn group_of(user: &str) -> anyhow::Result<String> {
    let output = Command::new("id").args(["-g", user]).output().context("asking for a user's group")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Makes the command that runs a server in its folder.
type Launch = Box<dyn Fn(&Scratch) -> anyhow::Result<Command> + Send + Sync>;

/// A server process that can be ended and started again on the same data.
pub(super) struct LocalServer {
    server: Option<Guarded>,
    /// What the server needs beside it, as RabbitMQ its epmd; ended after the server.
    _companion: Option<Guarded>,
    launch: Launch,
    scratch: Scratch,
}

impl LocalServer {
    pub(super) fn start(
        scratch: Scratch,
        companion: Option<Guarded>,
        launch: impl Fn(&Scratch) -> anyhow::Result<Command> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let mut server = Self { server: None, _companion: companion, launch: Box::new(launch), scratch };
        server.start_again()?;
        Ok(server)
    }

    pub(super) fn start_again(&mut self) -> anyhow::Result<()> {
        let mut command = (self.launch)(&self.scratch)?;
        self.server = Some(Guarded::spawn(&mut command, Ending::Kill)?);
        Ok(())
    }

    /// Runs a program to its end, in the server's folder and with its environment.
    pub(super) async fn run_tool(&self, program: &Path, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = self.scratch.command(program)?;
        let server = (self.launch)(&self.scratch)?;
        let settings = server.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(settings).args(arguments);
        let status = Guarded::spawn(&mut command, Ending::Kill)?.wait(TOOL).await;
        ensure!(
            status.is_some_and(|status| status.success()),
            "{} {} failed; it printed last:\n{}",
            program.display(),
            arguments.first().unwrap_or(&""),
            self.log()
        );
        Ok(())
    }

    pub(super) fn kill(&mut self) {
        self.server = None;
    }

    pub(super) async fn stop(&mut self, limit: Duration) {
        if let Some(mut server) = self.server.take() {
            server.terminate(limit).await;
        }
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        if let Some(server) = &mut self.server {
            server.signal_group(signal);
        }
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.try_wait().is_none())
    }

    pub(super) fn log(&self) -> String {
        self.scratch.log_tail()
    }
}
