//! Which processes of this machine are the server behind a URL, so that its CPU time is known.

use std::{fmt, process::Command, time::Duration};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::procfs::{command_of, cpu_of, cpu_of_threads, descendants, listener};

/// Command names of database servers and brokers.
const SERVERS: [&str; 3] = ["mariadbd", "mysqld", "beam.smp"];

/// Where a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A process of this machine.
    Process,
    /// In a container of this machine's Docker engine.
    Container,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "a process of this machine",
            Self::Container => "in a container of Docker's",
        })
    }
}

/// A server's processes on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProcess {
    ids: Vec<u32>,
    place: Place,
}

impl ServerProcess {
    /// Those that serve `mysql://...` or `amqp://...`; `None` where they run elsewhere, or cannot be told.
    pub fn of(url: &str) -> Option<Self> {
        let port = local_port(url)?;
        let (root, place) = match listener(port) {
            Some(id) if is_server(id) => (id, Place::Process),
            // Docker's proxy listens, or nobody: then the kernel forwards to the container.
            _ => (container_root(port)?, Place::Container),
        };
        let below = SERVERS.iter().flat_map(|command| descendants(root, command));
        let ids: Vec<u32> = [root].into_iter().filter(|id| is_server(*id)).chain(below).collect();
        (!ids.is_empty()).then_some(Self { ids, place })
    }

    /// Where it runs.
    pub fn place(&self) -> Place {
        self.place
    }

    /// CPU time so far, with that of threads that have ended; in steps of 10 ms.
    pub fn cpu(&self) -> Option<Duration> {
        self.ids.iter().map(|id| cpu_of(*id).ok()).sum()
    }

    /// CPU time so far of the threads that run now, to the nanosecond: for differences over moments.
    pub fn cpu_of_threads(&self) -> Option<Duration> {
        self.ids.iter().map(|id| cpu_of_threads(*id)).sum()
    }
}

fn is_server(id: u32) -> bool {
    command_of(id).is_some_and(|command| SERVERS.contains(&&*command))
}

/// The port of a URL that leads to this machine.
fn local_port(url: &str) -> Option<u16> {
    let url = Url::parse(url).ok()?;
    let is_local = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.parse() == Ok(std::net::Ipv4Addr::LOCALHOST),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let usual = match url.scheme() {
        "mysql" => 3306,
        "amqp" => 5672,
        _ => return None,
    };
    is_local.then(|| url.port().unwrap_or(usual))
}

/// The first process of the container that publishes this port. The id is that of the engine's machine: what it names
/// here is only believed if it is a server.
fn container_root(port: u16) -> Option<u32> {
    let container = docker(&["ps", "--quiet", "--filter", &format!("publish={port}")])?;
    docker(&["inspect", "--format", "{{.State.Pid}}", container.lines().next()?])?.trim().parse().ok()
}

fn docker(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_this_machine_have_a_port_here() {
        for (url, port) in [
            ("mysql://a:b@127.0.0.1:3307/x", Some(3307)),
            ("mysql://a:b@localhost/x", Some(3306)),
            ("amqp://a:b@[::1]/%2f", Some(5672)),
            ("mysql://a:b@db.example:3306/x", None),
            ("mysql://a:b@10.0.0.7/x", None),
            ("postgres://127.0.0.1:1/x", None),
            ("nonsense", None),
        ] {
            assert_eq!(local_port(url), port, "{url}");
        }
    }

    #[test]
    fn what_listens_is_only_taken_for_a_server_by_its_name() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        assert_eq!(listener(port), Some(std::process::id()));
        assert_eq!(ServerProcess::of(&format!("mysql://a:b@127.0.0.1:{port}/x")), None);
    }
}
