//! The outbox-relay process.

use std::process::ExitCode;

use anyhow::Context as _;
use broker::{Broker, BrokerConfig};
use outbox_relay::{Settings, Wake, health, start};
use persistence::Database;
use service_kit::{Lifecycle, Scope, admin::AdminServer};
use settings::Source;
use telemetry::MetricsHandle;

fn main() -> ExitCode {
    service_kit::run("outbox-relay", outbox_relay::ADMIN_ADDR, run())
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
    // One that only sends callbacks has no way to the broker.
    let broker = if settings.relay.publishes() { Some(connect(&settings.broker, &scope)?) } else { None };
    let admin = AdminServer::bind(&settings.admin, health(&settings.relay, &database, broker.as_ref()), metrics)?;
    tracing::info!(address = %admin.local_addr(), "the relay is up");
    scope.spawn_support("admin server", admin.run(scope.finish.clone()));
    scope.spawn_until_stopped("prepare database", database.clone().prepare(settings.database.auto_migrate));
    start(&settings.relay, &database, broker.as_ref(), &Wake::default(), &scope);

    let code = lifecycle.run(settings.drain).await;
    database.close().await;
    Ok(code)
}

fn connect(config: &BrokerConfig, scope: &Scope) -> anyhow::Result<Broker> {
    let BrokerConfig { uri, topology } = config.clone();
    Broker::amqp(uri, topology, &scope.support_tasks("broker"), scope.finish.clone())
        .context("RABBIT_URI=[hidden] is not accepted")
}
