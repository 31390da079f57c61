//! The api-gateway process.

use std::process::ExitCode;

use anyhow::Context as _;
use api_gateway::{Parts, Settings, start};
use broker::{Broker, BrokerConfig};
use persistence::Database;
use service_kit::{Health, Lifecycle};
use settings::Source;
use telemetry::MetricsHandle;

fn main() -> ExitCode {
    service_kit::run("api-gateway", api_gateway::LISTEN_ADDR, run())
}

async fn run() -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&Source::process())?;
    let telemetry = telemetry::init(settings.common.telemetry())?;
    let outcome = serve(&settings, telemetry.metrics()).await;
    telemetry.shutdown().await;
    outcome
}

async fn serve(settings: &Settings, metrics: MetricsHandle) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::new()?;
    let scope = lifecycle.scope();
    scope.measure_process();

    let database = Database::open(settings.database.clone()).await.context("DATABASE_URL=[hidden] is not accepted")?;
    let BrokerConfig { uri, topology } = settings.broker.clone();
    let broker = Broker::amqp(uri, topology, &scope.support_tasks("broker"), scope.finish.clone())
        .context("RABBIT_URI=[hidden] is not accepted")?;
    scope.spawn_until_stopped("prepare database", database.clone().prepare(settings.database.auto_migrate));
    let parts = Parts { database: database.clone(), broker, metrics, on_accepted: None, health: Health::new() };
    let address = start(settings, parts, &scope)?;
    tracing::info!(%address, "the API is up");

    let code = lifecycle.run(settings.drain).await;
    database.close().await;
    Ok(code)
}
