//! The delivery-worker process.

use std::process::ExitCode;

use anyhow::Context as _;
use broker::{Broker, BrokerConfig};
use delivery_worker::{Sending, Settings, health, start};
use persistence::Database;
use service_kit::{Lifecycle, admin::AdminServer};
use settings::Source;
use telemetry::MetricsHandle;

fn main() -> ExitCode {
    service_kit::run("delivery-worker", delivery_worker::ADMIN_ADDR, run())
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

    let sending = Sending::build(settings.operators.clone(), &scope).context("OPERATORS=[hidden] is not accepted")?;
    let database = Database::open(settings.database.clone()).await.context("DATABASE_URL=[hidden] is not accepted")?;
    let BrokerConfig { uri, topology } = settings.broker.clone();
    let broker = Broker::amqp(uri, topology, &scope.support_tasks("broker"), scope.finish.clone())
        .context("RABBIT_URI=[hidden] is not accepted")?;
    let admin = AdminServer::bind(&settings.admin, health(&database, &broker, sending.operators()), metrics)?;
    tracing::info!(address = %admin.local_addr(), "the worker is up");
    scope.spawn_support("admin server", admin.run(scope.finish.clone()));
    scope.spawn_until_stopped("prepare database", database.clone().prepare(settings.database.auto_migrate));
    start(&settings.worker, &database, &broker, sending, &scope);

    let code = lifecycle.run(settings.drain).await;
    database.close().await;
    Ok(code)
}
