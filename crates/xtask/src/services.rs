//! The three services and their operators as processes, as `bench` and `upgrade` start them.

use std::{collections::BTreeMap, path::Path};

use test_support::{ServiceProcess, free_address};

/// The services in the order in which they are stopped: intake first, delivery last.
pub(crate) const SERVICES: [&str; 3] = ["api-gateway", "outbox-relay", "delivery-worker"];

/// The arguments of cargo that build the programs of these packages.
pub(crate) fn build<'a>(packages: &[&'a str], release: bool) -> Vec<&'a str> {
    let packages = packages.iter().flat_map(|&package| ["-p", package]);
    ["build", "--bins"].into_iter().chain(packages).chain(release.then_some("--release")).collect()
}

/// Settings of a service whose load is ours: these servers, and no limit of rates.
pub(crate) fn settings<'a>(database_url: &'a str, rabbit_uri: &'a str, auto_migrate: bool) -> [(&'a str, &'a str); 5] {
    [
        ("DATABASE_URL", database_url),
        ("RABBIT_URI", rabbit_uri),
        ("AUTO_MIGRATE", if auto_migrate { "true" } else { "false" }),
        ("GLOBAL_RATE_LIMIT_RPS", "0"),
        ("USER_RATE_LIMIT_RPS", "0"),
    ]
}

/// Starts the service of this name on a free port and waits until it is ready.
///
/// # Errors
/// When it is not within a minute, or the process ends.
pub(crate) async fn start(
    folder: &Path,
    name: &str,
    env: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<ServiceProcess> {
    let listen = if name == "api-gateway" { "LISTEN_ADDR" } else { "ADMIN_ADDR" };
    let mut process = ServiceProcess::new(folder.join(name), listen, env);
    process.start();
    process.answers("/readyz").await?;
    Ok(process)
}

/// A simulator of an operator: its process, and its entry in `OPERATORS`.
pub(crate) struct Operator {
    pub(crate) process: ServiceProcess,
    pub(crate) entry: String,
}

/// Starts an operator of this name that remembers 10,000 keys.
///
/// # Errors
/// When it does not answer within a minute.
pub(crate) async fn start_operator(folder: &Path, name: &str) -> anyhow::Result<Operator> {
    let address = free_address();
    let arguments = ["--listen", &address.to_string(), "--capacity", "10000"];
    let mut process = ServiceProcess::at(address, folder.join("operator-simulator"), &arguments, BTreeMap::new());
    process.start();
    process.answers("/stats").await?;
    let entry = format!("{name}={}/operators/{name}/messages", process.base_url());
    Ok(Operator { process, entry })
}

/// The same over SMPP: an SMSC that reports nothing, as the one over HTTP does, and a window that does not slow the worker down.
///
/// # Errors
/// When it does not answer within a minute.
pub(crate) async fn start_smsc(folder: &Path, name: &str) -> anyhow::Result<Operator> {
    let (address, smsc) = (free_address(), free_address());
    let place = format!("{name}={smsc}");
    let arguments = ["--listen", &address.to_string(), "--capacity", "10000", "--smsc", &place];
    let mut process = ServiceProcess::at(address, folder.join("operator-simulator"), &arguments, BTreeMap::new());
    process.start();
    process.answers("/stats").await?;
    let entry = format!("{name}=smpp://esme1:secret@{smsc}?window=200&receipts=none");
    Ok(Operator { process, entry })
}
