//! The three services in one process, on a file.

use std::path::Path;

use operator_simulator::Simulator;
use tempfile::TempDir;
use test_support::{ServiceProcess, binary};

use super::{assert_fine, mix_operators, setup, top_up, wait_all_terminal};
use crate::{
    checker::Evidence,
    client::Client,
    journal::Journal,
    snapshot::Snapshot,
    traffic::{Traffic, USERS},
};

/// `standalone` with its operators and its file.
pub(crate) struct Standalone {
    pub(crate) service: ServiceProcess,
    pub(crate) client: Client,
    simulator: Simulator,
    journal: Journal,
    /// Where its file is.
    url: String,
    /// The file's folder, if that is nobody else's.
    folder: Option<TempDir>,
}

impl Standalone {
    /// Starts it on an empty file.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database file");
        let mut started = Self::start_in(folder.path()).await;
        started.folder = Some(folder);
        started
    }

    /// Starts it on a file in this folder.
    pub(crate) async fn start_in(folder: &Path) -> Self {
        Self::start_with(folder, None).await
    }

    /// The same with one more operator, at this URL, after all others.
    pub(crate) async fn start_with(folder: &Path, last_operator: Option<(&str, &str)>) -> Self {
        let simulator = setup::start_simulator();
        let mut env = setup::settings();
        let url = format!("sqlite://{}", folder.join("platform.sqlite").display());
        env.insert("DATABASE_URL".to_owned(), url.clone());
        let last = last_operator.map(|(name, url)| (name, Some(url.to_owned())));
        let operators = [("operatorA", None), ("operatorB", None)].into_iter().chain(last).collect::<Vec<_>>();
        let operators = setup::operator_list(&operators, &simulator);
        env.insert("OPERATORS".to_owned(), operators);
        let mut service = ServiceProcess::new(binary("standalone"), "LISTEN_ADDR", env);
        service.start();
        service.ready().await;
        mix_operators(&simulator);
        let client = Client::new(service.base_url());
        Self { client, service, simulator, journal: Journal::default(), url, folder: None }
    }

    /// Where its file is.
    pub(crate) fn database_url(&self) -> String {
        self.url.clone()
    }

    /// Credits for the customers of the traffic.
    pub(crate) async fn fund_traffic(&mut self) {
        for user in 1..=USERS {
            top_up(&self.client, &mut self.journal, user, 1_000).await;
        }
    }

    /// What it has answered so far.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// As [`super::Platform::absorb`].
    pub(crate) async fn absorb(&mut self, traffic: Traffic) {
        self.take(traffic.finish().await);
        self.resolve().await;
    }

    /// Takes answers into its journal.
    pub(crate) fn take(&mut self, answers: Journal) {
        self.journal.extend(answers);
    }

    /// Asks again for what has no clear answer.
    pub(crate) async fn resolve(&mut self) {
        self.journal.resolve(&self.client).await;
    }

    /// As [`super::Platform::finish`], without tables to look at.
    pub(crate) async fn finish(mut self) {
        wait_all_terminal(&self.client).await;
        let snapshot = Snapshot::from_api(&self.client, &self.journal.users()).await;
        assert_fine(&Evidence { journal: self.journal, snapshot, refunds: None, operators: self.simulator.journal() });
        self.simulator.stop().await;
        // The file goes last: its process ends before.
        drop((self.service, self.folder.take()));
    }
}
