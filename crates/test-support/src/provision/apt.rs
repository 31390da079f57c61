//! Installing server binaries on Debian and Ubuntu.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use super::command::{find, is_root, succeeds};

// A policy that forbids starting services stands while packages are installed, so that no system service comes up.
const INSTALL: &str = r#"set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
"#;

/// Installs packages, says so, and shows what apt prints.
pub(super) fn install(packages: &[&str]) -> anyhow::Result<()> {
    ensure!(
        Path::new("/etc/debian_version").exists(),
        "this is no Debian or Ubuntu, so nothing is installed by itself"
    );
    ensure!(find(&["apt-get"]).is_some(), "apt-get is not there, so nothing is installed by itself");
    let mut command = if is_root() {
        Command::new("/bin/sh")
    } else if succeeds("sudo", &["-n", "true"]) {
        let mut command = Command::new("sudo");
        command.args(["-n", "/bin/sh"]);
        command
    } else {
        bail!("neither root nor sudo without a password, so nothing is installed by itself");
    };
    eprintln!("installing {} with apt-get (no system service is started)", packages.join(" "));
    let status = command
        .args(["-c", INSTALL, "install"])
        .args(packages)
        .stdin(Stdio::null())
        .status()
        .context("starting apt-get")?;
    ensure!(status.success(), "apt-get install {} failed ({status})", packages.join(" "));
    Ok(())
}
