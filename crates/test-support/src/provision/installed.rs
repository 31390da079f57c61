//! The server binaries of this machine: whether they are there, and which packages bring them.

use anyhow::bail;

use super::{command::find, mariadb, rabbitmq};

/// Whether the server binaries are on this machine.
pub(super) fn binaries() -> anyhow::Result<()> {
    let missing =
        [("mariadbd or mysqld", mariadb::binary()), ("rabbitmq-server", rabbitmq::binary()), ("epmd", find(&["epmd"]))]
            .into_iter()
            .filter_map(|(name, found)| found.is_none().then_some(name))
            .collect::<Vec<_>>();
    if missing.is_empty() { Ok(()) } else { bail!("not on this machine: {}", missing.join(", ")) }
}

/// The Debian packages that bring the missing binaries.
pub(super) fn missing_packages() -> Vec<&'static str> {
    let mut packages = Vec::new();
    if mariadb::binary().is_none() {
        packages.push("mariadb-server");
    }
    if rabbitmq::binary().is_none() || find(&["epmd"]).is_none() {
        packages.push("rabbitmq-server");
    }
    packages
}
