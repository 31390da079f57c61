//! `cargo xtask up`: the three services against servers, until Ctrl-C.

mod service;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use test_support::{
    create_database, free_port, http, is_free,
    provision::{Backend, Given, Servers},
};

use crate::{
    cargo, servers,
    services::{self, SERVICES},
};
use service::Service;

const DATABASE: &str = "messaging";
const READY: Duration = Duration::from_mins(1);
const DRAIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

pub(crate) async fn run(release: bool) -> anyhow::Result<ExitCode> {
    cargo::succeed(&services::build(&SERVICES, release)).await?;
    let (backend, servers) = servers::provision(Given::ForServices).await?;
    let outcome = run_services(release, backend, &servers).await;
    servers::stop(servers).await;
    outcome
}

async fn run_services(release: bool, backend: Backend, servers: &Servers) -> anyhow::Result<ExitCode> {
    let database_url = match backend {
        Backend::Env(_) => servers.database_url().to_owned(),
        Backend::Docker | Backend::Local => create_database(servers.database_url(), DATABASE).await?,
    };
    let listen = setting("LISTEN_ADDR").unwrap_or_else(|| ":8080".to_owned());
    let common = [
        ("DATABASE_URL", database_url),
        ("RABBIT_URI", servers.rabbit_uri().to_owned()),
        ("AUTO_MIGRATE", setting("AUTO_MIGRATE").unwrap_or_else(|| "true".to_owned())),
    ];
    let folder = binaries(release)?;
    let start = |name, colour, variable: (&'static str, String)| {
        Service::start(name, colour, &folder.join(name), common.iter().cloned().chain([variable]))
    };
    let (relay_port, worker_port) = (admin_port("outbox-relay", 8081), admin_port("delivery-worker", 8082));
    // In the order in which they are stopped: intake first, delivery last.
    let mut services = [
        start("api-gateway", service::GREEN, ("LISTEN_ADDR", listen.clone()))?,
        start("outbox-relay", service::YELLOW, ("ADMIN_ADDR", format!(":{relay_port}")))?,
        start("delivery-worker", service::CYAN, ("ADMIN_ADDR", format!(":{worker_port}")))?,
    ];
    let outcome = tokio::select! {
        outcome = watch(&mut services, &listen) => outcome,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listening for Ctrl-C").map(|()| ExitCode::SUCCESS),
    };
    eprintln!("stopping; Ctrl-C again kills");
    tokio::select! {
        () = stop(&mut services) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    outcome
}

async fn stop(services: &mut [Service]) {
    for service in services {
        service.stop(DRAIN).await;
    }
}

/// Says when the API is there, then waits for a process to end, which none should.
async fn watch(services: &mut [Service], listen: &str) -> anyhow::Result<ExitCode> {
    let api = format!("127.0.0.1:{}", listen.rsplit(':').next().unwrap_or("8080"));
    let mut waiting = Some(tokio::time::Instant::now() + READY);
    loop {
        for service in &mut *services {
            if let Some(status) = service.try_wait() {
                bail!("{} has ended ({status}), so the others are stopped too", service.name());
            }
        }
        if let Some(end) = waiting {
            if http::get(&api, "/readyz").await.is_some_and(|(status, _)| status == 200) {
                greet(&api);
                waiting = None;
            } else if tokio::time::Instant::now() > end {
                eprintln!("warning: http://{api}/readyz does not answer 200 after {READY:?}; see the log lines above");
                waiting = None;
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

fn greet(api: &str) {
    eprintln!(
        r#"
the API is at http://{api}, Swagger UI at http://{api}/swagger/index.html; Ctrl-C stops everything
top up a balance:
  curl -s http://{api}/balance/add -H 'content-type: application/json' -d '{{"user_id":1,"balance":1000}}'
send a message:
  curl -s http://{api}/messages/send -H 'content-type: application/json' -d '{{"customer_id":1,"text":"hello","recipients":["+4915123456789"]}}'
see what became of it:
  curl -s 'http://{api}/messages/history?user_id=1'
"#
    );
}

/// The usual admin port of a service, or a free one where that is taken.
fn admin_port(name: &str, usual: u16) -> u16 {
    if is_free(usual) {
        return usual;
    }
    let port = free_port();
    eprintln!("port {usual} is taken: the admin address of {name} is :{port}");
    port
}

/// The folder of the built services: ours when the profile is the same, its sibling otherwise.
pub(crate) fn binaries(release: bool) -> anyhow::Result<PathBuf> {
    let ours = std::env::current_exe().context("finding the folder of built binaries")?;
    let target = ours.ancestors().nth(2).context("xtask does not run from a target folder")?;
    Ok(profile(target, release))
}

/// The folder of a profile's programs in a target folder.
pub(crate) fn profile(target: &Path, release: bool) -> PathBuf {
    target.join(if release { "release" } else { "debug" })
}

#[expect(clippy::disallowed_methods, reason = "a tool, not a service: it has no settings loader")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
