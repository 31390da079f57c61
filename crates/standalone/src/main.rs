//! The whole platform in one process: SQLite in a file, an in-process broker, and the three services as they are.

mod first_key;
mod greeting;
mod lock;
mod master_key;
mod settings;

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use broker::Broker;
use delivery_worker::Sending;
use outbox_relay::Wake;
use persistence::Database;
use service_kit::{Health, Lifecycle};
use telemetry::MetricsHandle;

use crate::settings::Settings;

fn main() -> ExitCode {
    service_kit::run("standalone", api_gateway::LISTEN_ADDR, run())
}

async fn run() -> anyhow::Result<ExitCode> {
    let settings = Settings::load(::settings::Source::process())?;
    let telemetry = telemetry::init(settings.gateway.common.telemetry())?;
    let outcome = serve(settings, telemetry.metrics()).await;
    telemetry.shutdown().await;
    outcome
}

async fn serve(mut settings: Settings, metrics: MetricsHandle) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::new()?;
    let scope = lifecycle.scope();
    // First what may refuse to start without a file: none is made for a list of operators that is wrong.
    let sending = Sending::build(settings.operators.clone(), &scope).context("OPERATORS=[hidden] is not accepted")?;
    scope.measure_process();

    let file = lock::take(&settings.file)?;
    let mut has_new_key = false;
    settings.set_master_key_if_none(|| {
        let kept = master_key::beside(&file)?;
        has_new_key = kept.is_new;
        Ok(kept.key)
    })?;
    let settings = &settings;
    let restarted = recover(&file).await.with_context(|| format!("preparing the database file {}", file.display()))?;
    let database = Database::open(settings.database_config(&file)?).await?;
    database.assume_migrated();
    if has_new_key && database.has_callback_endpoints().await? {
        master_key::warn_of_new_secrets(&file);
    }
    let first_key = first_key::make(settings, &database).await?;
    let broker = Broker::in_process(settings.gateway.broker.topology.clone());

    let wake = Wake::default();
    let signal = wake.clone();
    let parts = api_gateway::Parts {
        database: database.clone(),
        broker: broker.clone(),
        metrics,
        on_accepted: Some(Arc::new(move |lane| signal.signal(lane))),
        health: delivery_worker::with_sessions(Health::new(), sending.operators()),
    };
    // The gateway first: where its address is taken, nothing has been claimed yet.
    let address = api_gateway::start(&settings.gateway, parts, &scope)?;
    delivery_worker::start(&settings.worker, &database, &broker, sending, &scope);
    outbox_relay::start(&settings.relay, &database, Some(&broker), &wake, &scope);
    tracing::info!(%address, restarted, file = %settings.file.display(), "the platform is up");
    greeting::print(address, settings, restarted, first_key.as_ref());

    let code = lifecycle.run(settings.gateway.drain).await;
    database.close().await;
    Ok(code)
}

/// Brings the file up to date and restarts what the last run left unfinished, however long that takes.
async fn recover(file: &Path) -> anyhow::Result<u64> {
    let database = Database::open(Settings::recovery_config(file)?).await?;
    database.migrate().await?;
    let restarted = database.recover_embedded().await.context("looking for what the last run left unfinished")?;
    database.close().await;
    Ok(restarted)
}
