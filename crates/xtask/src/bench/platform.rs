//! The three release binaries as processes, with balances to spend and, where asked for, operators and a backlog.

use anyhow::Context;
use loadtest::{Destinations, Load, Scrape, Target, Traffic, insert_waiting, seed_database};
use test_support::ServiceProcess;

use super::{BALANCE, Operators, Plan, Site};
use crate::{
    cargo,
    services::{self, Operator, SERVICES},
    up,
};

/// A process and the name that its cost is reported under.
pub(super) struct Running {
    pub(super) name: &'static str,
    pub(super) process: ServiceProcess,
}

/// What runs during a benchmark. Dropping it ends every process.
pub(super) struct Platform {
    /// In the order in which they are stopped.
    pub(super) services: Vec<Running>,
    operators: Vec<Running>,
}

/// Builds the load generator, which measures claims too.
pub(super) async fn build_generator() -> anyhow::Result<()> {
    cargo::succeed(&services::build(&["loadtest"], true)).await
}

/// Builds what is started. The services apart from the rest, with the features they have as they are shipped.
pub(super) async fn build(operators: Operators) -> anyhow::Result<()> {
    let mut tools = vec!["loadtest"];
    if operators != Operators::Simulated {
        tools.push("operator-simulator");
    }
    cargo::succeed(&services::build(&SERVICES, true)).await?;
    cargo::succeed(&services::build(&tools, true)).await
}

impl Platform {
    /// Starts the processes and waits until they are ready. The gateway is first, for it makes the tables that
    /// balances and backlog go into before anything is published.
    pub(super) async fn start(site: &Site, plan: &Plan, operators: Operators) -> anyhow::Result<Self> {
        let mut platform = Self { services: Vec::new(), operators: Vec::new() };
        let mut settings: Vec<(String, String)> = services::settings(&site.database_url, &site.rabbit_uri, true)
            .into_iter()
            .chain(plan.settings.iter().copied())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if operators != Operators::Simulated {
            settings.push(("OPERATORS".to_owned(), platform.start_operators(operators).await?));
        }
        platform.start_service("api-gateway", &settings).await?;
        fill(site, plan).await?;
        platform.start_service("outbox-relay", &settings).await?;
        platform.start_service("delivery-worker", &settings).await?;
        Ok(platform)
    }

    async fn start_service(&mut self, name: &'static str, settings: &[(String, String)]) -> anyhow::Result<()> {
        // What the user set (ACCEPT_LANES=8 cargo xtask bench) reaches the services, but for what the run depends on.
        let inherited =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let env = inherited.chain(settings.iter().cloned());
        let process = services::start(&up::binaries(true)?, name, env).await?;
        self.services.push(Running { name, process });
        Ok(())
    }

    /// Two operators in processes of their own; gives the list for `OPERATORS`.
    async fn start_operators(&mut self, operators: Operators) -> anyhow::Result<String> {
        let mut list = Vec::new();
        for name in ["operatorA", "operatorB"] {
            let folder = up::binaries(true)?;
            let Operator { process, entry } = match operators {
                Operators::Smpp => services::start_smsc(&folder, name).await?,
                Operators::Simulated | Operators::Http => services::start_operator(&folder, name).await?,
            };
            list.push(entry);
            self.operators.push(Running { name, process });
        }
        Ok(list.join(","))
    }

    /// Where the API is.
    pub(super) fn api(&self) -> Target {
        Target::local(self.services[0].process.address().port())
    }

    /// The worker's metrics.
    pub(super) async fn worker_metrics(&self) -> anyhow::Result<Scrape> {
        let worker = self.services.iter().find(|service| service.name == "delivery-worker");
        let page = worker.context("the worker does not run")?.process.get("/metrics").await;
        let page = page.filter(|(status, _)| *status == 200).context("the worker gives no metrics")?;
        Ok(Scrape::parse(&page.1))
    }

    /// All processes with the name their cost is reported under.
    pub(super) fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.services.iter().chain(&self.operators).map(|running| (running.name, running.process.id()))
    }

    /// Stops the services; intake first, delivery last.
    pub(super) async fn stop(&mut self) {
        for service in &mut self.services {
            service.process.terminate().await;
        }
        self.services.clear();
        self.operators.clear();
    }
}

/// Balances for all users of the load, and the messages that wait.
async fn fill(site: &Site, plan: &Plan) -> anyhow::Result<()> {
    seed_database(&site.database_url, plan.load.users, BALANCE).await?;
    if plan.waiting > 0 {
        eprintln!("storing {} waiting messages", plan.waiting);
        let traffic = Traffic::of(&Load { express_ratio: 0.0, ..plan.load });
        insert_waiting(&site.database_url, &traffic, plan.waiting, &Destinations::default()).await?;
    }
    Ok(())
}
