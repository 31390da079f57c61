//! What `cargo xtask servers` starts ends with it, however it ends.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use test_support::provision::Backend;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running `cargo xtask servers` with the addresses and data folders of what it started.
struct Started {
    xtask: Child,
    addresses: Vec<SocketAddr>,
    backend: Backend,
    temporary: tempfile::TempDir,
}

impl Started {
    /// Servers that are ours alone, also where the tests themselves use given ones.
    fn new() -> Self {
        let backend = Backend::choose_private().expect("a way to start servers");
        let temporary = tempfile::tempdir().expect("a folder");
        open_to_all(temporary.path());
        let errors = File::create(temporary.path().join("errors")).expect("a file");
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("servers")
            .env("TEST_BACKEND", backend.to_string())
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("xtask starts");
        let lines = BufReader::new(xtask.stdout.take().expect("its output is piped")).lines();
        let addresses = lines.take(2).map(|line| address(&line.expect("a line"))).collect::<Vec<_>>();
        let started = Self { xtask, addresses, backend, temporary };
        assert_eq!(started.addresses.len(), 2, "{}", started.errors());
        started
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.temporary.path().join("errors")).unwrap_or_default()
    }

    /// Processes that still run with a file or folder of ours among their arguments or as their working folder.
    fn left_over(&self) -> Vec<String> {
        let ours = self.temporary.path().to_string_lossy().into_owned();
        let processes = std::fs::read_dir("/proc").expect("the process table");
        processes
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter_map(|path| {
                let arguments = std::fs::read(path.join("cmdline")).ok()?;
                let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
                let folder = std::fs::read_link(path.join("cwd")).unwrap_or_default();
                (arguments.contains(&ours) || folder.starts_with(&ours)).then_some(arguments)
            })
            .collect()
    }

    /// Containers, running or not, that publish one of our ports.
    fn containers(&self) -> usize {
        if self.backend != Backend::Docker {
            return 0;
        }
        let published = |address: &SocketAddr| format!("publish={}", address.port());
        let list = |address| Command::new("docker").args(["ps", "-aq", "--filter", &published(address)]).output();
        self.addresses.iter().filter(|address| !list(address).expect("docker answers").stdout.is_empty()).count()
    }

    fn assert_nothing_is_left(&self) {
        let answers = || self.addresses.iter().filter(|address| TcpStream::connect(address).is_ok()).count();
        let folders = || std::fs::read_dir(self.temporary.path()).expect("our folder").count() - 1; // the file of errors
        let end = Instant::now() + PATIENCE;
        while answers() + folders() + self.containers() + self.left_over().len() > 0 {
            let left = (answers(), folders(), self.containers(), self.left_over());
            assert!(Instant::now() < end, "servers, data folders, containers and processes left over: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.xtask.kill();
        let _ = self.xtask.wait();
    }
}

/// Servers run as users of their own, who must get at their folders.
fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("our own folder");
}

fn address(line: &str) -> SocketAddr {
    let authority = line.rsplit('@').next().expect("a URL with an account");
    authority.parse().unwrap_or_else(|_| panic!("no address in {authority}"))
}

#[test]
fn killed_with_9_it_leaves_nothing_behind() {
    let mut started = Started::new();
    for address in &started.addresses {
        TcpStream::connect(address).expect("the server listens");
    }
    assert_eq!(started.containers(), if started.backend == Backend::Docker { 2 } else { 0 });
    started.xtask.kill().expect("it can be killed");
    started.xtask.wait().expect("it ends");
    started.assert_nothing_is_left();
}

#[test]
fn interrupted_it_stops_both_servers_and_ends_well() {
    let mut started = Started::new();
    let interrupted = Command::new("kill").args(["-s", "INT", &started.xtask.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    let status = started.xtask.wait().expect("it ends");
    assert!(status.success(), "{status}: {}", started.errors());
    started.assert_nothing_is_left();
}
