//! What everything costs: CPU time by process.

use std::{collections::BTreeMap, time::Duration};

use loadtest::{cpu_of, descendants, machine_busy, memory};

use super::platform::Platform;

/// Command names of servers that we started.
const SERVERS: [(&str, &str); 3] = [("database", "mariadbd"), ("database", "mysqld"), ("rabbitmq", "beam.smp")];
const MIB: f64 = 1_048_576.0;

/// CPU time so far, by what it is reported under.
pub(super) struct Usage {
    by_process: BTreeMap<&'static str, Duration>,
    machine: Duration,
}

impl Usage {
    /// Servers in containers or elsewhere are not seen: they are part of the rest of the machine.
    pub(super) fn now(platform: &Platform, generator: u32) -> anyhow::Result<Self> {
        let me = std::process::id();
        let mut by_process = BTreeMap::from([("xtask", cpu_of(me)?)]);
        // On a busy machine this reading may come after its end.
        by_process.extend(cpu_of(generator).ok().map(|spent| ("load generator", spent)));
        for (name, pid) in platform.processes() {
            by_process.insert(name, cpu_of(pid)?);
        }
        for (name, command) in SERVERS {
            for pid in descendants(me, command) {
                *by_process.entry(name).or_default() += cpu_of(pid)?;
            }
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
