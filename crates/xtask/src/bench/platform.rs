//! The three release binaries as processes, with balances to spend and, where asked for, operators and a backlog.

use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::{Client, Load, Scrape, Tables, Target, Traffic, insert_waiting, seed_database};
use test_support::{Process, free_port};
use tokio::time::Instant;

use super::{BALANCE, Operators, Plan, Site};
use crate::{cargo, up};

const READY: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// One service with the port it answers on.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) process: Process,
    port: u16,
}

/// What runs during a benchmark. Dropping it ends every process.
pub(super) struct Platform {
    /// In the order in which they are stopped.
    pub(super) services: Vec<Service>,
    operators: Vec<Service>,
}

/// Builds what is started. The services apart from the rest, with the features they have as they are shipped.
pub(super) async fn build(operators: Operators) -> anyhow::Result<()> {
    const RELEASE: [&str; 3] = ["build", "--release", "--bins"];
    const SERVICES: [&str; 6] = ["-p", "api-gateway", "-p", "outbox-relay", "-p", "delivery-worker"];
    let mut tools = vec!["-p", "loadtest"];
    if operators == Operators::Http {
        tools.extend(["-p", "operator-simulator"]);
    }
    cargo::succeed(&[&RELEASE[..], &SERVICES].concat()).await?;
    cargo::succeed(&[&RELEASE[..], &tools].concat()).await
}

impl Platform {
    /// Starts the processes and waits until they are ready. The gateway is first, for it makes the tables that
    /// balances and backlog go into before anything is published.
    pub(super) async fn start(site: &Site, plan: &Plan, operators: Operators) -> anyhow::Result<Self> {
        let mut platform = Self { services: Vec::new(), operators: Vec::new() };
        let mut settings: Vec<(String, String)> = [
            ("DATABASE_URL", site.database_url.as_str()),
            ("RABBIT_URI", &site.rabbit_uri),
            ("AUTO_MIGRATE", "true"),
            ("GLOBAL_RATE_LIMIT_RPS", "0"),
            ("USER_RATE_LIMIT_RPS", "0"),
        ]
        .into_iter()
        .chain(plan.settings.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        if operators == Operators::Http {
            settings.push(("OPERATORS".to_owned(), platform.start_operators().await?));
        }
        platform.start_service("api-gateway", "LISTEN_ADDR", &settings).await?;
        fill(site, plan).await?;
        platform.start_service("outbox-relay", "ADMIN_ADDR", &settings).await?;
        platform.start_service("delivery-worker", "ADMIN_ADDR", &settings).await?;
        Ok(platform)
    }

    async fn start_service(
        &mut self,
        name: &'static str,
        address: &str,
        settings: &[(String, String)],
    ) -> anyhow::Result<()> {
        let port = free_port();
        let listen = [(address.to_owned(), format!("127.0.0.1:{port}"))];
        // What the user set (ACCEPT_LANES=8 cargo xtask bench) reaches the services, but for what the run depends on.
        let inherited =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let env = inherited.chain(settings.iter().cloned()).chain(listen);
        let process = Process::start(&up::binaries(true)?.join(name), &[], env);
        self.services.push(Service { name, process, port });
        self.services.last_mut().context("it was just pushed")?.answers("/readyz").await
    }

    /// Two HTTP operators; gives the list for `OPERATORS`.
    async fn start_operators(&mut self) -> anyhow::Result<String> {
        let mut list = Vec::new();
        for name in ["operatorA", "operatorB"] {
            let port = free_port();
            let listen = format!("127.0.0.1:{port}");
            let arguments = ["--listen", &listen, "--capacity", "10000"];
            let env: [(&str, &str); 0] = [];
            let process = Process::start(&up::binaries(true)?.join("operator-simulator"), &arguments, env);
            let mut operator = Service { name, process, port };
            operator.answers("/stats").await?;
            self.operators.push(operator);
            list.push(format!("{name}=http://{listen}/operators/{name}/messages"));
        }
        Ok(list.join(","))
    }

    /// Where the API is.
    pub(super) fn api(&self) -> Target {
        Target::local(self.services[0].port)
    }

    /// The worker's metrics.
    pub(super) async fn worker_metrics(&self) -> anyhow::Result<Scrape> {
        let worker = self.services.iter().find(|service| service.name == "delivery-worker");
        let target = Target::local(worker.context("the worker does not run")?.port);
        let reply = Client::new(target).get("/metrics").await.ok().filter(loadtest::Reply::is_success);
        Ok(Scrape::parse(&String::from_utf8_lossy(&reply.context("the worker gives no metrics")?.body)))
    }

    /// All processes with the name their cost is reported under.
    pub(super) fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let services = self.services.iter().map(|service| (service.name, service.process.id()));
        services.chain(self.operators.iter().map(|operator| (operator.name, operator.process.id())))
    }

    /// Stops the services; intake first, delivery last.
    pub(super) async fn stop(&mut self) {
        for service in &mut self.services {
            service.process.terminate(STOP).await;
        }
        self.services.clear();
        self.operators.clear();
    }
}

impl Service {
    async fn answers(&mut self, path: &str) -> anyhow::Result<()> {
        let end = Instant::now() + READY;
        let mut client = Client::new(Target::local(self.port));
        while !client.get(path).await.is_ok_and(|reply| reply.is_success()) {
            let output = || self.process.output();
            ensure!(Instant::now() < end, "{} is not ready after {READY:?}; it wrote:\n{}", self.name, output());
            ensure!(self.process.is_running(), "{} ended; it wrote:\n{}", self.name, self.process.output());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

/// Balances for all users of the load, and the messages that wait.
async fn fill(site: &Site, plan: &Plan) -> anyhow::Result<()> {
    let mut tables = Tables::connect(&site.database_url).await?;
    seed_database(tables.connection(), plan.load.users, BALANCE).await?;
    if plan.waiting > 0 {
        eprintln!("storing {} waiting messages", plan.waiting);
        let traffic = Traffic::of(&Load { express_ratio: 0.0, ..plan.load });
        insert_waiting(tables.connection(), &traffic, plan.waiting).await?;
    }
    Ok(())
}
