//! `cargo xtask servers`, and provisioning as the other commands use it.

use std::{process::ExitCode, time::Instant};

use anyhow::Context;
use test_support::provision::{Backend, Given, Servers};

/// Starts servers by the first way that is open, and says which.
pub(crate) async fn provision(given: Given) -> anyhow::Result<(Backend, Servers)> {
    let backend = Backend::choose(given)?;
    let start = Instant::now();
    eprintln!(
        "{}",
        match backend {
            Backend::Env(given) => format!("using the servers of {} and {}", given.names().0, given.names().1),
            Backend::Docker => "starting a database and RabbitMQ in containers".to_owned(),
            Backend::Local => "starting a private database and RabbitMQ from this machine's binaries".to_owned(),
        }
    );
    let starting = async {
        match given {
            Given::ForTests => Servers::start(backend).await,
            Given::ForServices => Servers::start_for_load(backend).await,
        }
    };
    let servers = tokio::select! {
        started = starting => started?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.context("listening for Ctrl-C")?;
            anyhow::bail!("interrupted while the servers started; they are gone");
        }
    };
    eprintln!("both servers answer after {:.1} s", start.elapsed().as_secs_f32());
    Ok((backend, servers))
}

/// Does the work to its end, or drops it at Ctrl-C.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        outcome = work => outcome,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listening for Ctrl-C").and(Err(anyhow::anyhow!("interrupted"))),
    }
}

/// Stops what was started; that it failed is only worth a line.
pub(crate) async fn stop(servers: Servers) {
    if let Err(error) = servers.stop().await {
        eprintln!("warning: stopping the servers: {error:#}");
    }
}

pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let (_, servers) = provision(Given::ForTests).await?;
    println!("TEST_DATABASE_URL={}", servers.database_url());
    println!("TEST_RABBIT_URI={}", servers.rabbit_uri());
    eprintln!("Ctrl-C stops them");
    tokio::signal::ctrl_c().await.context("listening for Ctrl-C")?;
    stop(servers).await;
    Ok(ExitCode::SUCCESS)
}
