//! Which way of getting servers is open here.

use std::fmt;

use anyhow::{Context, bail};

use super::{apt, container, installed};
use crate::variable;

/// Where the servers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Running servers, named by environment variables; never stopped, paused or restarted from here.
    Env(Given),
    /// Containers of `mysql:8.4` and `rabbitmq:4-management`.
    Docker,
    /// Private instances of the server binaries on this machine.
    Local,
}

/// Which environment variables name given servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// `TEST_DATABASE_URL` and `TEST_RABBIT_URI`, for tests: databases come and go on that server.
    ForTests,
    /// `DATABASE_URL` and `RABBIT_URI`, for running the services.
    ForServices,
}

impl Given {
    /// The variables of database and broker.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ForTests => ("TEST_DATABASE_URL", "TEST_RABBIT_URI"),
            Self::ForServices => ("DATABASE_URL", "RABBIT_URI"),
        }
    }

    pub(super) fn database_url(self) -> anyhow::Result<String> {
        required(self.names().0)
    }

    pub(super) fn rabbit_uri(self) -> anyhow::Result<String> {
        required(self.names().1)
    }
}

fn required(name: &str) -> anyhow::Result<String> {
    variable(name).with_context(|| format!("{name} is not set"))
}

/// Why one way is not open; empty for a way that was not looked at.
#[derive(Debug, Default)]
struct Refusals {
    env: String,
    docker: String,
    local: String,
}

impl Backend {
    /// The first way that is open, in this order: servers given in the environment, Docker, server binaries on this
    /// machine, and (on Debian or Ubuntu as root or with sudo) server binaries installed now. `TEST_BACKEND` set to
    /// `env`, `docker` or `local` allows only that one.
    ///
    /// # Errors
    ///
    /// One message with the three ways and why each is closed.
    pub fn choose(given: Given) -> anyhow::Result<Self> {
        match variable("TEST_BACKEND").as_deref() {
            None => {}
            Some("env") => return env(given).map(|()| Self::Env(given)).context("TEST_BACKEND=env"),
            Some("docker") => return container::engine().map(|()| Self::Docker).context("TEST_BACKEND=docker"),
            Some("local") => return local().map(|()| Self::Local).context("TEST_BACKEND=local"),
            Some(other) => bail!("TEST_BACKEND={other} is not a backend: use env, docker or local, or leave it unset"),
        }
        let (database, rabbit) = given.names();
        if variable(database).is_some() || variable(rabbit).is_some() {
            return env(given).map(|()| Self::Env(given));
        }
        let env = format!("neither {database} nor {rabbit} is set");
        let docker = match container::engine() {
            Ok(()) => return Ok(Self::Docker),
            Err(refusal) => format!("{refusal:#}"),
        };
        match local() {
            Ok(()) => Ok(Self::Local),
            Err(refusal) => bail!("{}", Refusals { env, docker, local: format!("{refusal:#}") }.message(given)),
        }
    }

    /// For a test that kills, pauses or restarts its own server: Docker or the binaries of this machine, as
    /// `TEST_BACKEND` says or whichever is open; never a given server, and nothing is installed.
    pub fn choose_private() -> anyhow::Result<Self> {
        match variable("TEST_BACKEND").as_deref() {
            Some("docker") => return container::engine().map(|()| Self::Docker).context("TEST_BACKEND=docker"),
            Some("local") => return installed::binaries().map(|()| Self::Local).context("TEST_BACKEND=local"),
            _ => {}
        }
        let Err(docker) = container::engine() else { return Ok(Self::Docker) };
        let Err(local) = installed::binaries() else { return Ok(Self::Local) };
        bail!("this test needs servers of its own, from Docker ({docker:#}) or from server binaries ({local:#})")
    }
}

impl fmt::Display for Backend {
    /// As `TEST_BACKEND` spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Env(_) => "env",
            Self::Docker => "docker",
            Self::Local => "local",
        })
    }
}

fn env(given: Given) -> anyhow::Result<()> {
    given.database_url()?;
    given.rabbit_uri()?;
    Ok(())
}

/// Where binaries are missing, they are installed first.
fn local() -> anyhow::Result<()> {
    match installed::binaries() {
        Ok(()) => Ok(()),
        Err(missing) => {
            apt::install(&installed::missing_packages()).context(missing)?;
            installed::binaries()
        }
    }
}

impl Refusals {
    fn message(&self, given: Given) -> String {
        let (database, rabbit) = given.names();
        let Self { env, docker, local } = self;
        format!(
            "no database server and message broker to run against; give one of these:\n\
             1. running servers: set {database}=mysql://user:password@host:port and {rabbit}=amqp://user:password@host:port ({env})\n\
             2. a Docker engine that has or can pull {} and {} ({docker})\n\
             3. server binaries: mariadbd or mysqld, rabbitmq-server and epmd, e.g. `apt-get install mariadb-server \
             rabbitmq-server`, which is done by itself on Debian or Ubuntu as root or with sudo ({local})",
            container::DATABASE_IMAGE,
            container::RABBIT_IMAGE,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_possible_the_message_lists_the_three_ways_and_their_reasons() {
        let refusals = Refusals { env: "not set".into(), docker: "no engine".into(), local: "not root".into() };
        let message = refusals.message(Given::ForTests);
        for part in ["TEST_DATABASE_URL", "TEST_RABBIT_URI", "mysql:8.4", "rabbitmq:4-management", "mariadb-server"] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
        for (number, reason) in [("1. ", "(not set)"), ("2. ", "(no engine)"), ("3. ", "(not root)")] {
            let line = message.lines().find(|line| line.starts_with(number)).expect("a line for each way");
            assert!(line.ends_with(reason), "{line}");
        }
    }
}
