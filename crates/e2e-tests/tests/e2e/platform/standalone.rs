//! The three services in one process, on a file.

use operator_simulator::Simulator;
use tempfile::TempDir;

use super::{Service, assert_fine, mix_operators, setup, top_up, wait_all_terminal};
use crate::{
    checker::Evidence,
    client::Client,
    journal::Journal,
    snapshot::Snapshot,
    traffic::{Traffic, USERS},
};

/// `standalone` with its operators and its file.
pub(crate) struct Standalone {
    pub(crate) service: Service,
    pub(crate) client: Client,
    simulator: Simulator,
    journal: Journal,
    folder: TempDir,
}

impl Standalone {
    /// Starts it on an empty file.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database file");
        let simulator = setup::start_simulator();
        let mut env = setup::settings();
        env.insert("DATABASE_URL".to_owned(), database_url(&folder));
        let operators = setup::operator_list(&[("operatorA", None), ("operatorB", None)], &simulator);
        env.insert("OPERATORS".to_owned(), operators);
        let mut service = Service::new("standalone", "LISTEN_ADDR", env);
        service.start();
        service.ready().await;
        mix_operators(&simulator);
        let client = Client::new(service.base_url());
        Self { client, service, simulator, journal: Journal::default(), folder }
    }

    /// Where its file is.
    pub(crate) fn database_url(&self) -> String {
        database_url(&self.folder)
    }

    /// Credits for the customers of the traffic.
    pub(crate) async fn fund_traffic(&mut self) {
        for user in 1..=USERS {
            top_up(&self.client, &mut self.journal, user, 1_000).await;
        }
    }

    /// As [`super::Platform::absorb`].
    pub(crate) async fn absorb(&mut self, traffic: Traffic) {
        self.journal.extend(traffic.finish().await);
        self.journal.resolve(&self.client).await;
    }

    /// As [`super::Platform::finish`], without tables to look at.
    pub(crate) async fn finish(self) {
        wait_all_terminal(&self.client).await;
        let snapshot = Snapshot::from_api(&self.client, &self.journal.users()).await;
        assert_fine(&Evidence { journal: self.journal, snapshot, refunds: None, operators: self.simulator.journal() });
        self.simulator.stop().await;
    }
}

fn database_url(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("platform.sqlite").display())
}
