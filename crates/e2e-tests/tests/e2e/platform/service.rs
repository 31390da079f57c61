//! One service process that can be ended and started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitStatus,
    time::Duration,
};

use test_support::{Process, binary, free_port, wait_until};

use crate::client::Client;

/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A service with its settings; its process may run or not.
pub(crate) struct Service {
    name: &'static str,
    binary: PathBuf,
    env: BTreeMap<String, String>,
    port: u16,
    process: Option<Process>,
    /// Ended ones are kept: when the test fails, all of them show what they wrote.
    ended: Vec<Process>,
    client: Client,
}

impl Service {
    /// The service listens on a port of its own, named by the variable `address`. It is not started yet.
    pub(crate) fn new(name: &'static str, address: &str, mut env: BTreeMap<String, String>) -> Self {
        let port = free_port();
        env.insert(address.to_owned(), format!("127.0.0.1:{port}"));
        let client = Client::new(format!("http://127.0.0.1:{port}"));
        Self { name, binary: binary(name), env, port, process: None, ended: Vec::new(), client }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the process; returns at once.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        self.process = Some(Process::start(&self.binary, &[], &self.env));
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) {
        let Self { name, client, process, .. } = self;
        let process = process.as_mut().expect("only a started service becomes ready");
        wait_until(PATIENCE, &format!("a ready {name}"), async || {
            assert!(process.is_running(), "{name} ended by itself");
            client.get("/readyz").await.filter(|(status, _)| *status == 200)
        })
        .await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("only a running service can be killed");
        assert!(process.is_running(), "{} ended by itself", self.name);
        process.kill();
        self.ended.push(process);
    }

    /// `kill -9`, and started again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.start();
    }

    /// SIGTERM; how it ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("only a running service can be terminated");
        let status = process.terminate(PATIENCE).await;
        self.ended.push(process);
        status
    }

    /// What `/readyz` says of each dependency, with its status; `None` when it does not answer.
    pub(crate) async fn readiness(&self) -> Option<(u16, serde_json::Value)> {
        self.client.get("/readyz").await
    }

    /// What it has written, in all its lives.
    pub(crate) fn output(&self) -> String {
        self.ended.iter().chain(&self.process).map(Process::output).collect()
    }

    /// The names of all metrics that it exports.
    pub(crate) async fn metric_names(&self) -> BTreeSet<String> {
        let text = self.client.text("/metrics").await.unwrap_or_else(|| panic!("no metrics of {}", self.name));
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        types.map(ToOwned::to_owned).collect()
    }

    /// Whether this series is there.
    pub(crate) async fn has_metric(&self, series: &str) -> bool {
        let text = self.client.text("/metrics").await.unwrap_or_else(|| panic!("no metrics of {}", self.name));
        text.lines().any(|line| line.starts_with(series))
    }

    /// The sum of a metric over all series that have these labels (`operator="a"`); 0 when there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.client.text("/metrics").await.unwrap_or_else(|| panic!("no metrics of {}", self.name));
        let series = text
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label)));
        series.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}
