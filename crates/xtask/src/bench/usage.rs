//! What everything costs: CPU time by process.

use std::{collections::BTreeMap, time::Duration};

use loadtest::{ServerProcess, cpu_of, machine_busy, memory};

use super::{Site, platform::Platform};

const MIB: f64 = 1_048_576.0;
/// What the servers' CPU time is reported under.
pub(super) const DATABASE: &str = "database";
pub(super) const BROKER: &str = "rabbitmq";

/// The servers' processes, where they are on this machine.
pub(super) struct ServerProcesses {
    pub(super) database: Option<ServerProcess>,
    pub(super) broker: Option<ServerProcess>,
}

impl ServerProcesses {
    pub(super) fn of(site: &Site) -> Self {
        Self { database: ServerProcess::of(&site.database_url), broker: ServerProcess::of(&site.rabbit_uri) }
    }
}

/// CPU time so far, by what it is reported under.
pub(super) struct Usage {
    by_process: BTreeMap<&'static str, Duration>,
    machine: Duration,
}

impl Usage {
    /// Servers that were not found are part of the rest of the machine, or on another one.
    pub(super) fn now(platform: &Platform, servers: &ServerProcesses, generator: u32) -> anyhow::Result<Self> {
        let me = std::process::id();
        let mut by_process = BTreeMap::from([("xtask", cpu_of(me)?)]);
        // On a busy machine this reading may come after its end.
        by_process.extend(cpu_of(generator).ok().map(|spent| ("load generator", spent)));
        for (name, pid) in platform.processes() {
            by_process.insert(name, cpu_of(pid)?);
        }
        for (name, server) in [(DATABASE, &servers.database), (BROKER, &servers.broker)] {
            by_process.extend(server.as_ref().and_then(ServerProcess::cpu).map(|spent| (name, spent)));
        }
        Ok(Self { by_process, machine: machine_busy()? })
    }

    /// CPU seconds since `earlier`, with the rest of the machine as `other`.
    pub(super) fn since(&self, earlier: &Self) -> BTreeMap<String, f64> {
        let spent = |name: &&str, now: &Duration| {
            now.saturating_sub(earlier.by_process.get(name).copied().unwrap_or_default()).as_secs_f64()
        };
        let mut seconds: BTreeMap<String, f64> =
            self.by_process.iter().map(|(name, now)| ((*name).to_owned(), spent(name, now))).collect();
        let all = self.machine.saturating_sub(earlier.machine).as_secs_f64();
        seconds.insert("other".to_owned(), (all - seconds.values().sum::<f64>()).max(0.0));
        seconds
    }
}

/// Resident memory of the services in MiB: now, and the most so far.
pub(super) fn memory_mib(platform: &Platform) -> anyhow::Result<[BTreeMap<String, f64>; 2]> {
    let (mut now, mut peak) = (BTreeMap::new(), BTreeMap::new());
    for service in &platform.services {
        let memory = memory(service.process.id())?;
        let mib = |bytes: u64| (bytes as f64 / MIB * 10.0).round() / 10.0;
        now.insert(service.name.to_owned(), mib(memory.resident));
        peak.insert(service.name.to_owned(), mib(memory.peak));
    }
    Ok([now, peak])
}
