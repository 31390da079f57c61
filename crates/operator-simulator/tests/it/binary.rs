//! The program itself.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::client::submit;

const DEADLINE: Duration = Duration::from_secs(20);

/// Starts the program and waits for its line.
async fn spawn(journal: &std::path::Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_operator-simulator"))
        .args(["--listen", "127.0.0.1:0", "--journal"])
        .arg(journal)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.expect("in time").expect("readable").expect("one line");
    let address = line.strip_prefix("listening on http://").expect("the address").parse().expect("an address");
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
