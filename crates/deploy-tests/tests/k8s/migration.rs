//! The Job's wait for its database, run as a cluster would run it.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Container;

use crate::platform::Platform;

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_mins(1);

fn waiting_container() -> Container {
    let pods = Platform::load().pods().into_iter().find(|pods| pods.id == "Job/migrate").expect("it is there");
    let mut first = pods.spec().init_containers.unwrap_or_default();
    assert_eq!(first.len(), 1, "what comes before the migration is the wait for its database");
    first.remove(0)
}

/// The container's command, with a `sleep` in front of the real one that takes no time and leaves a mark.
fn wait_for(port: u16, folder: &Path) -> Command {
    let container = waiting_container();
    let mut words = container.command.unwrap_or_default().into_iter().chain(container.args.unwrap_or_default());
    let mut command = Command::new(words.next().expect("the container has a command"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    command
        .args(words)
        .env("PATH", std::env::join_paths(folders).expect("folders are plain"))
        .env("DB_HOST", "127.0.0.1")
        .env("DB_PORT", port.to_string())
        .stderr(Stdio::piped());
    command
}

fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for this test");
    let sleep = folder.join("sleep");
    fs::write(&sleep, format!("#!/bin/sh\necho \"$1\" >> '{}'\n", folder.join("slept").display())).expect("a script");
    fs::set_permissions(&sleep, fs::Permissions::from_mode(0o755)).expect("it is ours");
    folder
}

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port()
}

#[test]
fn the_job_waits_until_the_database_takes_connections() {
    let (folder, port) = (folder("waits"), closed_port());
    let mut waiting = wait_for(port, &folder).spawn().expect("the command exists");
    let end = Instant::now() + DEADLINE;
    while !folder.join("slept").exists() {
        assert!(Instant::now() < end && waiting.try_wait().expect("a child").is_none(), "it does not wait");
        std::thread::sleep(Duration::from_millis(5));
    }
    let _server = TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
    assert!(waiting.wait().expect("a child").success());
    fs::remove_dir_all(folder).expect("it is ours");
}

#[test]
fn a_database_that_never_comes_is_named() {
    let (folder, port) = (folder("gives-up"), closed_port());
    let output = wait_for(port, &folder).output().expect("the command exists");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("DB_HOST"), "{text}");
    let slept = fs::read_to_string(folder.join("slept")).expect("it waited");
    let seconds: u64 = slept.lines().map(|line| line.parse::<u64>().expect("seconds")).sum();
    assert!((120..=600).contains(&seconds), "a first start of the database takes minutes, not {seconds} s");
    fs::remove_dir_all(folder).expect("it is ours");
}
