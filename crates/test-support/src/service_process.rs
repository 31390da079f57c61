//! A service as the process it is: it listens somewhere, becomes ready, ends and is started again.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{bail, ensure};
use tokio::time::Instant;

use crate::{Process, free_address, http};

/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// A service with its settings and an address of its own; its process may run or not, and is killed when dropped.
pub struct ServiceProcess {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    address: SocketAddr,
    process: Option<Process>,
    /// Ended ones are kept: when the test fails, all of them show what they wrote.
    ended: Vec<Process>,
}

impl ServiceProcess {
    /// The service listens on a free loopback port, which it is told by the variable `listen`. It is not started yet.
    pub fn new<K: Into<String>, V: Into<String>>(
        binary: PathBuf,
        listen: &str,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let address = free_address();
        let mut env: BTreeMap<_, _> = env.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        env.insert(listen.to_owned(), address.to_string());
        Self::at(address, binary, &[], env)
    }

    /// The service listens at `address`, which the arguments or the variables say.
    pub fn at(address: SocketAddr, binary: PathBuf, arguments: &[&str], env: BTreeMap<String, String>) -> Self {
        let name = binary.file_name().unwrap_or(binary.as_os_str()).to_string_lossy().into_owned();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { name, binary, arguments, env, address, process: None, ended: Vec::new() }
    }

    /// The name of its binary.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `127.0.0.1:port`, the same in all its lives.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process id.
    ///
    /// # Panics
    ///
    /// When it was not started.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("only a started service has a process").id()
    }

    /// Starts the process; returns at once.
    ///
    /// # Panics
    ///
    /// When it runs already, or cannot be started.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        self.process = Some(Process::start(&self.binary, &arguments, &self.env));
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Panics
    ///
    /// When it does not within a minute, or the process ends.
    pub async fn ready(&mut self) {
        self.answers("/readyz").await.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Waits until `GET path` is answered with 200.
    ///
    /// # Errors
    ///
    /// When it is not within a minute, or the process ends; the message holds what the process wrote last.
    pub async fn answers(&mut self, path: &str) -> anyhow::Result<()> {
        let Self { name, address, process: Some(process), .. } = self else {
            bail!("{} was not started", self.name);
        };
        let end = Instant::now() + PATIENCE;
        while http::get(*address, path).await.is_none_or(|(status, _)| status != 200) {
            ensure!(process.is_running(), "{name} ended by itself; it wrote last:\n{}", process.last_lines());
            ensure!(
                Instant::now() < end,
                "{name} does not answer {path} with 200 within {PATIENCE:?}; it wrote last:\n{}",
                process.last_lines()
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Status and body of a page; `None` when it does not answer.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        http::get(self.address, path).await
    }

    /// `kill -9`.
    ///
    /// # Panics
    ///
    /// When it has ended before.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("only a running service can be killed");
        assert!(process.is_running(), "{} ended by itself", self.name);
        process.kill();
        self.ended.push(process);
    }

    /// `kill -9`, and started again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.start();
    }

    /// SIGTERM, then waits for the end; says how it ended.
    ///
    /// # Panics
    ///
    /// When it still runs after a minute.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("only a running service can be terminated");
        let status = process.terminate(PATIENCE).await;
        self.ended.push(process);
        status
    }

    /// Stops it in its tracks (SIGSTOP) until [`ServiceProcess::resume`].
    pub fn pause(&mut self) {
        self.process.as_mut().expect("only a running service can be paused").pause();
    }

    /// Lets it go on after a pause (SIGCONT).
    pub fn resume(&mut self) {
        self.process.as_mut().expect("only a running service can be resumed").resume();
    }

    /// What it has written, in all its lives.
    pub fn output(&self) -> String {
        self.ended.iter().chain(&self.process).map(Process::output).collect()
    }
}
