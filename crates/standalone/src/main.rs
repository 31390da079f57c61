//! The whole platform in one process: SQLite in a file, an in-process broker, and the three services as they are.

mod greeting;
mod settings;

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use broker::{Broker, Topology};
use operators::Operators;
use outbox_relay::Wake;
use persistence::Database;
use service_kit::{Lifecycle, settings::Source};

use crate::settings::Settings;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let settings = Settings::load(Source::process())?;
    let telemetry = telemetry::init(settings.gateway.common.telemetry())?;
    let lifecycle = Lifecycle::new()?;
    let scope = lifecycle.scope();

    let database = Database::open(settings.database_config()).await?;
    database.migrate().await.with_context(|| format!("preparing the database file {}", settings.file))?;
    let restarted = database.recover_embedded().await.context("looking for what the last run left unfinished")?;
    let names = &settings.gateway.broker;
    let topology = Topology::new(&names.exchange, &names.express_queue, &names.normal_queue)?;
    let broker = Broker::in_process(topology);
    let operators = Operators::build(settings.operators.clone())?;

    let wake = Wake::default();
    delivery_worker::start(&settings.worker, &database, &broker, &operators, &scope);
    outbox_relay::start(&settings.relay, &database, &broker, &wake, &scope);
    let parts = api_gateway::Parts {
        database: database.clone(),
        broker,
        metrics: telemetry.metrics(),
        on_accepted: Some(Arc::new(move |kind| wake.signal(kind))),
    };
    let address = api_gateway::start(&settings.gateway, parts, &scope)?;
    tracing::info!(%address, restarted, file = settings.file, "the platform is up");
    greeting::print(address, &settings, restarted);

    let code = lifecycle.run(settings.gateway.drain).await;
    database.close().await;
    telemetry.shutdown().await;
    Ok(code)
}
