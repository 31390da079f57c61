//! One order, from an empty database to what came of it.

use std::time::Duration;

use anyhow::Context;
use loadtest::{Stored, Tables, seed_http};
use serde::Deserialize;
use test_support::{TestDatabase, names};
use tokio::time::{Instant, sleep};

use super::{
    Plan,
    fleet::Fleet,
    order::Order,
    release::Release,
    stream::{Sent, Stream},
    table::Row,
    verdict::{Evidence, Kind, is_settled},
    watch::Watch,
};
use crate::{
    services::{self, Operator, SERVICES},
    up,
};

/// Times of traffic of an order: old services on the old schema, on the new one, and after each replacement and return.
const PHASES: u32 = 8;
/// Credits of each user: more than any run can spend.
const BALANCE: i64 = 1_000_000_000;
/// Longer than running services take to notice a change (5 s).
const NOTICED: Duration = Duration::from_secs(6);
/// What a change waits that cannot bear the writes of older services.
const KEPT_OFF_WITHIN: Duration = Duration::from_secs(10);
/// How long the last messages may take.
const DRAIN: Duration = Duration::from_mins(1);
const DRAIN_POLL: Duration = Duration::from_millis(200);

/// Services under traffic, on a database, queues and an operator of their own.
pub(super) struct Course<'a> {
    plan: &'a Plan<'a>,
    database: TestDatabase,
    operator: Operator,
    fleet: Fleet,
    stream: Option<Stream>,
    /// What the streams that have ended sent.
    sent: Sent,
    /// The number of the next request.
    next: u64,
    mismatches: Vec<String>,
}

impl<'a> Course<'a> {
    /// A place for an order; the old release makes its schema there.
    pub(super) async fn prepare(plan: &'a Plan<'a>) -> anyhow::Result<Self> {
        let database = TestDatabase::on(plan.servers.database_url()).await?;
        plan.old.migrate_up(database.url()).await?;
        let operator = services::start_operator(&plan.new.folder, "operatorA").await?;
        let common = services::settings(database.url(), plan.servers.rabbit_uri(), false);
        let settings = common.map(|(name, value)| (name, value.to_owned())).into_iter().chain(names().env());
        let operators = ("OPERATORS", operator.entry.clone());
        let settings = settings.chain([operators]).map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self {
            plan,
            database,
            operator,
            fleet: Fleet::new(settings),
            stream: None,
            sent: Sent::default(),
            next: 0,
            mismatches: Vec::new(),
        })
    }

    /// The old release alone, with traffic.
    pub(super) async fn start_old(&mut self) -> anyhow::Result<()> {
        for service in SERVICES {
            self.fleet.start(self.plan.old, service).await?;
        }
        seed_http(&self.fleet.gateway()?, self.plan.load.users, BALANCE).await.context("topping up balances")?;
        eprintln!("  the old services run on the old schema");
        self.offer()?;
        self.pause().await;
        Ok(())
    }

    /// The newer release changes the schema below the older services.
    pub(super) async fn migrate(&mut self) -> anyhow::Result<Kind> {
        let (url, mut watch) = (self.database.url(), Watch::begin());
        watch.during(&self.fleet, self.plan.new.migrate_up(url)).await?;
        let status = self.plan.old.migrate("status", url).await?;
        let kind = Kind::of(status.code, &status.output)?;
        match kind {
            Kind::Same => {
                eprintln!("  the schema is the same");
                watch.during(&self.fleet, self.pause()).await;
                self.mismatches.extend(watch.not_ready());
            }
            Kind::Rolling => {
                eprintln!("  the old services go on on the new schema");
                watch.during(&self.fleet, sleep(NOTICED.max(self.phase()))).await;
                self.mismatches.extend(watch.not_ready());
            }
            Kind::Stopping => {
                eprintln!("  the new schema keeps the old services off");
                watch.until_kept_off(&self.fleet, KEPT_OFF_WITHIN).await;
                self.mismatches.extend(watch.not_kept_off(KEPT_OFF_WITHIN));
            }
        }
        Ok(kind)
    }

    /// Service by service to the new release, and back in the same order.
    pub(super) async fn replace(&mut self, order: Order) -> anyhow::Result<()> {
        for release in [self.plan.new, self.plan.old] {
            for service in order.services() {
                eprintln!("  {service}: {}", release.name);
                self.replace_one(release, service).await?;
                self.pause().await;
            }
        }
        Ok(())
    }

    /// The new process is ready, and has the traffic, before the one that it replaces is told to end.
    async fn replace_one(&mut self, release: &Release, service: &'static str) -> anyhow::Result<()> {
        let before = self.fleet.start(release, service).await?;
        if let Some(stream) = &self.stream {
            stream.switch(self.fleet.gateway()?).await?;
        }
        self.fleet.stop(before).await;
        Ok(())
    }

    /// Old services that are kept off refuse everything; new ones go on where they stood.
    pub(super) async fn stop_and_start(&mut self) -> anyhow::Result<()> {
        self.hush().await?;
        let (before, accepted) = (self.stored().await?, self.sent.tally.successful);
        self.offer()?;
        self.pause().await;
        self.hush().await?;
        let while_kept_off = self.sent.tally.successful - accepted;
        if while_kept_off > 0 {
            self.mismatches.push(format!("{while_kept_off} requests were accepted by services that are kept off"));
        }
        if self.stored().await? != before {
            self.mismatches.push("services that are kept off changed what is stored".to_owned());
        }
        for service in SERVICES {
            self.fleet.stop_service(service).await;
        }
        eprintln!("  the old services are stopped, the new ones start");
        for service in SERVICES {
            self.fleet.start(self.plan.new, service).await?;
        }
        self.offer()?;
        self.pause().await;
        Ok(())
    }

    /// Waits for the outcome of everything that was accepted, and says what came of it.
    pub(super) async fn conclude(&mut self, order: String, may_refuse: bool) -> anyhow::Result<Row> {
        self.hush().await?;
        let stored = self.drained().await?;
        let taken = self.operator.taken().await?;
        if taken.duplicates > 0 {
            eprintln!("  {} submissions were repeated under their key", taken.duplicates);
        }
        for service in SERVICES {
            self.fleet.stop_service(service).await;
        }
        let evidence = Evidence {
            sent: std::mem::take(&mut self.sent),
            stored,
            recipients: usize::try_from(self.plan.load.recipients).context("recipients of a request")?,
            unbalanced: Tables::connect(self.database.url()).await?.ledger_mismatches().await?,
            submissions: taken.accepted_keys,
            may_refuse,
        };
        let mut mismatches = std::mem::take(&mut self.mismatches);
        mismatches.append(&mut self.fleet.bad_ends);
        mismatches.extend(evidence.mismatches());
        Ok(Row {
            order,
            accepted: evidence.sent.tally.successful,
            refused: evidence.sent.tally.refused(),
            failed: evidence.sent.tally.failed(),
            delivered: evidence.delivered(),
            mismatches,
        })
    }

    /// Keeps what the services wrote, of this order and no other run.
    pub(super) fn save_output(&self, order: Order) -> anyhow::Result<()> {
        let logs = up::binaries(false)?.with_file_name("upgrade").join("logs");
        let folder = logs.join(order.to_string().replace(", ", "-"));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        self.fleet.save_output(&folder)?;
        eprintln!("  not as it should be; what the services wrote is in {}", folder.display());
        Ok(())
    }

    /// Ends what runs, and drops the database.
    pub(super) async fn clean_up(self) -> anyhow::Result<()> {
        let Self { database, fleet, operator, .. } = self;
        drop((fleet, operator));
        database.drop().await
    }

    fn offer(&mut self) -> anyhow::Result<()> {
        self.stream = Some(Stream::start(&self.plan.load, self.next, self.fleet.gateway()?));
        Ok(())
    }

    async fn hush(&mut self) -> anyhow::Result<()> {
        if let Some(stream) = self.stream.take() {
            let (next, sent) = stream.finish().await?;
            self.next = next;
            self.sent.add(sent);
        }
        Ok(())
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        Tables::connect(self.database.url()).await?.stored().await
    }

    /// What is stored when all have their outcome, or when the time for that is over.
    async fn drained(&self) -> anyhow::Result<Stored> {
        let end = Instant::now() + DRAIN;
        loop {
            let stored = self.stored().await?;
            if is_settled(&stored) || Instant::now() > end {
                return Ok(stored);
            }
            sleep(DRAIN_POLL).await;
        }
    }

    fn phase(&self) -> Duration {
        self.plan.load.duration / PHASES
    }

    async fn pause(&self) {
        sleep(self.phase()).await;
    }
}

/// What an operator has taken.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Taken {
    /// Different submissions.
    accepted_keys: u64,
    /// Those that it had taken before.
    duplicates: u64,
}

impl Operator {
    async fn taken(&self) -> anyhow::Result<Taken> {
        #[derive(Deserialize)]
        struct Stats {
            operators: std::collections::BTreeMap<String, Taken>,
        }
        let page = self.process.get("/stats").await.context("the operator does not answer")?;
        let stats: Stats = serde_json::from_str(&page.1).context("reading what the operator took")?;
        Ok(stats.operators.into_values().next().unwrap_or_default())
    }
}
