//! The api-gateway process.

use std::process::ExitCode;

use anyhow::Context as _;
use api_gateway::{Parts, Settings, database_config, start};
use broker::{Broker, Topology};
use persistence::Database;
use service_kit::{Lifecycle, settings::Source};
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

    let database = Database::open(database_config(settings)).await.context("DATABASE_URL=[hidden] is not accepted")?;
    let names = &settings.broker;
    let topology = Topology::new(&names.exchange, &names.express_queue, &names.normal_queue)
        .context("RABBIT_MESSAGE_EXCHANGE, EXPRESS_QUEUE or NORMAL_QUEUE is not accepted")?;
    let broker = Broker::amqp(names.uri.clone(), topology, &scope.support_tasks("broker"), scope.finish.clone())
        .context("RABBIT_URI=[hidden] is not accepted")?;
    scope.spawn_until_stopped("prepare database", database.clone().prepare(settings.database.auto_migrate));
    let parts = Parts { database: database.clone(), broker, metrics, on_accepted: None };
    let address = start(settings, parts, &scope)?;
    tracing::info!(%address, "the API is up");

    let code = lifecycle.run(settings.drain).await;
    database.close().await;
    Ok(code)
}
