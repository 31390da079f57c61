//! What a guarded process starts ends with it.

use std::{path::Path, time::Duration};

use test_support::{
    guarded::{Ending, Guarded, command},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A shell that starts a second process, writes its id to `file`, and waits for it.
fn family(file: &Path, ending: Ending) -> Guarded {
    let mut shell = command("/bin/sh");
    shell.args(["-c", r#"sleep 1000 & echo $! >"$0.new"; mv "$0.new" "$0"; wait"#]).arg(file);
    Guarded::spawn(&mut shell, ending).expect("a shell")
}

async fn id_in(file: &Path) -> u32 {
    wait_until(PATIENCE, "the second process's id", async || {
        std::fs::read_to_string(file).ok()?.trim().parse::<u32>().ok()
    })
    .await
}

/// Whether a process still does something: one that only waits to be reaped has ended.
fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
}

#[tokio::test]
async fn dropping_ends_the_whole_family() {
    for ending in [Ending::Kill, Ending::Terminate] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("id");
        let shell = family(&file, ending);
        let (parent, child) = (shell.id(), id_in(&file).await);
        assert!(is_alive(parent) && is_alive(child));
        drop(shell);
        wait_until(PATIENCE, "the end of both", async || (!is_alive(parent) && !is_alive(child)).then_some(())).await;
    }
}

#[tokio::test]
async fn what_a_process_leaves_behind_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("id");
    let mut shell = command("/bin/sh");
    shell.args(["-c", r#"sleep 1000 & echo $! >"$0""#]).arg(&file);
    let mut shell = Guarded::spawn(&mut shell, Ending::Kill).expect("a shell");
    let status = shell.wait(PATIENCE).await.expect("the shell ends");
    assert!(status.success(), "{status}");
    let child = id_in(&file).await;
    wait_until(PATIENCE, "the end of the left-over", async || (!is_alive(child)).then_some(())).await;
}

#[tokio::test]
async fn a_missing_program_is_exit_code_127() {
    let mut missing = Guarded::spawn(&mut command("/no/such/program"), Ending::Kill).expect("the gate starts");
    let status = missing.wait(PATIENCE).await.expect("it ends at once");
    assert_eq!(status.code(), Some(127));
}

#[tokio::test]
async fn a_process_that_ignores_sigterm_is_killed_at_the_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let ready = folder.path().join("ready");
    let mut stubborn = command("/bin/sh");
    stubborn.args(["-c", r#"trap '' TERM; : >"$0"; while :; do sleep 1; done"#]).arg(&ready);
    let mut stubborn = Guarded::spawn(&mut stubborn, Ending::Kill).expect("a shell");
    wait_until(PATIENCE, "the trap", async || ready.exists().then_some(())).await;
    let status = stubborn.terminate(Duration::from_millis(200)).await.expect("it has ended");
    assert_eq!(status.code(), None, "it ended by itself: {status}");
}
