//! The program itself.

use std::{ffi::OsStr, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use smpp::{BindMode, Status};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    client::{call, submit},
    smsc::esme::{Esme, bind_as},
};

const DEADLINE: Duration = Duration::from_secs(20);

/// Starts the program with these arguments.
fn start(arguments: &[&OsStr]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_operator-simulator"))
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, lines)
}

/// The address in the next line, which begins so.
async fn address(lines: &mut Lines<BufReader<ChildStdout>>, beginning: &str) -> SocketAddr {
    let line = timeout(DEADLINE, lines.next_line()).await.expect("in time").expect("readable").expect("one line");
    let address = line.strip_prefix(beginning).unwrap_or_else(|| panic!("{line} does not begin with {beginning}"));
    address.parse().expect("an address")
}

/// Starts the program and waits for its line.
async fn spawn(journal: &Path) -> (Child, SocketAddr) {
    let (child, mut lines) = start(&["--journal".as_ref(), journal.as_os_str()]);
    let address = address(&mut lines, "listening on http://").await;
    (child, address)
}

#[tokio::test]
async fn the_journal_file_has_every_entry_even_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal.jsonl");
    for run in 0..2 {
        let (mut child, address) = spawn(&journal).await;
        for message in ["m1", "m2"] {
            assert_eq!(submit(address, message, "111").await.0, 200);
        }
        child.kill().await.expect("killed");
        let text = std::fs::read_to_string(&journal).expect("the journal");
        let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect();
        assert_eq!(entries.len(), 2 * (run + 1), "a second run appends");
        assert!(entries.iter().all(|entry| entry["decision"] == "accepted" && entry["operator"] == "a"));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_ends_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_operator-simulator"))
        .arg("--journal")
        .arg(folder.path().join("missing").join("journal"))
        .output();
    let output = timeout(DEADLINE, output).await.expect("it ends").expect("it ran");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not open the journal file"));
}

#[tokio::test]
async fn the_health_check_succeeds_only_beside_a_running_simulator() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, address) = spawn(&folder.path().join("journal.jsonl")).await;
    let check = |listen: String| async move {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator-simulator"));
        let output = command.args(["--healthcheck", "--listen", &listen]).output();
        timeout(DEADLINE, output).await.expect("it ends").expect("it ran").status.success()
    };
    assert!(check(address.to_string()).await);
    assert!(check(format!("0.0.0.0:{}", address.port())).await, "all interfaces are asked on loopback");
    child.kill().await.expect("killed");
    assert!(!check(address.to_string()).await);
}

#[tokio::test]
async fn the_program_starts_smscs_beside_its_operators() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("smsc.jsonl");
    let mut arguments: Vec<&OsStr> = ["--smsc", "127.0.0.1:0", "--smsc", "b=127.0.0.1:0"].map(OsStr::new).to_vec();
    arguments.extend(["--smsc-account", "me:mine", "--smsc-journal"].map(OsStr::new));
    arguments.push(journal.as_os_str());
    let (mut child, mut lines) = start(&arguments);
    let http = address(&mut lines, "listening on http://").await;
    let smscs =
        [address(&mut lines, "smsc smsc1 listening on ").await, address(&mut lines, "smsc b listening on ").await];
    assert_eq!(call(http, "PUT", "/smsc/b/behaviour", None, r#"{"default": {"mode": "queue_full"}}"#).await.0, 204);
    for (address, expected) in smscs.into_iter().zip([Status::OK, Status::QUEUE_FULL]) {
        let mut esme = Esme::connect(address).await;
        assert_eq!(esme.bind(BindMode::Transceiver, bind_as("me", "mine")).await, Status::OK);
        assert_eq!(esme.submit("+491").await.0, expected);
    }
    assert_eq!(submit(http, "m1", "111").await.0, 200);
    child.kill().await.expect("killed");

    let text = std::fs::read_to_string(&journal).expect("the journal");
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect();
    let submits = entries.iter().filter(|entry| entry["what"] == "submit_sm");
    let told: Vec<_> = submits.map(|entry| (entry["smsc"].as_str(), entry["status"].as_u64())).collect();
    assert_eq!(told, [(Some("smsc1"), Some(0)), (Some("b"), Some(0x14))]);
}

#[tokio::test]
async fn smscs_that_cannot_be_started_end_the_program() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("bound").to_string();
    for (arguments, says) in [
        (vec!["--smsc", taken.as_str()], "could not listen on"),
        (vec!["--smsc", "a=127.0.0.1:0", "--smsc", "a=127.0.0.1:0"], "two SMSCs of the name a"),
        (vec!["--smsc", "nowhere"], "invalid value 'nowhere'"),
        (vec!["--smsc-account", "me"], "a user, a colon and a secret"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator-simulator"));
        let output = timeout(DEADLINE, command.args(arguments).output()).await.expect("it ends").expect("it ran");
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(says), "{error}");
    }
}
