//! What processes cost, from `/proc`: CPU time and memory.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::Context as _;

/// Clock ticks a second in `/proc`: a constant of the kernel's interface on every architecture Rust runs on.
const TICKS: u64 = 100;

/// Resident memory of a process in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// The most so far.
    pub peak: u64,
}

/// CPU time of a process with all its threads, user and system, since it started.
///
/// # Errors
/// When there is no such process.
pub fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let stat =
        fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("reading about process {pid}"))?;
    Ok(Stat::parse(&stat).context("reading /proc/PID/stat")?.cpu)
}

/// CPU time of those threads of a process that run now, as exactly as the kernel knows it.
pub(crate) fn cpu_of_threads(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.filter_map(Result::ok);
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    let nanos: u64 = nanos.sum();
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

/// The command name of a process.
pub(crate) fn command_of(pid: u32) -> Option<String> {
    Some(Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?.command)
}

/// The process that listens on this TCP port, where this process may see that.
pub(crate) fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let sockets: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| listening_inode(line, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let holds = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|to| sockets.iter().any(|socket| to.as_os_str() == &**socket))
    };
    if sockets.is_empty() { None } else { all_processes().map(|(pid, _)| pid).find(holds) }
}

/// The inode of a line of `/proc/net/tcp` that is about a socket listening on this port.
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let is_it = u16::from_str_radix(local_port, 16) == Ok(port) && fields.get(3) == Some(&LISTEN);
    if is_it { fields.get(9).copied() } else { None }
}

/// Memory of a process.
///
/// # Errors
/// When there is no such process.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("reading about process {pid}"))?;
    parse_memory(&status).context("reading /proc/PID/status")
}

/// The descendants of a process with this command name.
pub fn descendants(of: u32, command: &str) -> Vec<u32> {
    let stats: BTreeMap<u32, Stat> = all_processes().collect();
    let is_descendant = |pid: &u32| {
        let mut ancestor = *pid;
        while let Some(stat) = stats.get(&ancestor) {
            if stat.parent == of {
                return true;
            }
            ancestor = stat.parent;
        }
        false
    };
    stats.iter().filter(|(_, stat)| stat.command == command).map(|(pid, _)| *pid).filter(is_descendant).collect()
}

/// CPU time that the whole machine has spent not idle since it started.
///
/// # Errors
/// When `/proc/stat` cannot be read.
pub fn machine_busy() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    parse_busy(&stat).context("reading /proc/stat")
}

fn all_processes() -> impl Iterator<Item = (u32, Stat)> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        Some((pid, Stat::parse(&fs::read_to_string(path.join("stat")).ok()?)?))
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    command: String,
    parent: u32,
    cpu: Duration,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The command stands in parentheses and may contain any character.
        let (head, tail) = line.rsplit_once(')')?;
        let command = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Self { command, parent: fields.get(1)?.parse().ok()?, cpu: Duration::from_millis(ticks * 1_000 / TICKS) })
    }
}

fn parse_memory(status: &str) -> Option<Memory> {
    let bytes = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1_024)
    };
    Some(Memory { resident: bytes("VmRSS")?, peak: bytes("VmHWM")? })
}

fn parse_busy(stat: &str) -> Option<Duration> {
    let fields: Option<Vec<u64>> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let fields = fields?;
    let busy: u64 = fields.get(..8)?.iter().sum::<u64>() - fields[3] - fields[4];
    Some(Duration::from_millis(busy * 1_000 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_is_read() {
        let line = "42 (a (b) c) S 7 42 42 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 100 1 1 18446744073709551615";
        let stat = Stat::parse(line).expect("well-formed");
        assert_eq!(stat, Stat { command: "a (b) c".into(), parent: 7, cpu: Duration::from_secs(2) });
        assert_eq!(Stat::parse("nonsense"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_memory(status), Some(Memory { resident: 1_048_576, peak: 2_097_152 }));
        assert_eq!(parse_memory("Name:\tx\n"), None);
    }

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        let line = "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 123456 1 0 100 0";
        assert_eq!(listening_inode(line, 3_306), Some("123456"));
        assert_eq!(listening_inode(line, 3_307), None);
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 3_306), None);
        assert_eq!(listening_inode("  sl  local_address rem_address   st", 3_306), None);
    }

    #[test]
    fn idle_and_waiting_are_not_busy() {
        assert_eq!(parse_busy("cpu  100 0 50 1000 500 1 2 3 9 9\ncpu0 1\n"), Some(Duration::from_millis(1_560)));
    }

    #[test]
    fn this_process_has_cpu_time_memory_and_a_parent() {
        let me = std::process::id();
        assert!(cpu_of(me).is_ok());
        let memory = memory(me).expect("it runs");
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
        let command =
            Stat::parse(&fs::read_to_string(format!("/proc/{me}/stat")).expect("it runs")).expect("well-formed");
        assert!(descendants(command.parent, &command.command).contains(&me));
        assert!(machine_busy().is_ok());
    }
}
