//! Processes under test: environment, output, signals.

use std::{os::unix::process::ExitStatusExt as _, path::Path, time::Duration};

use test_support::{Process, binary, wait_until};

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(script: &str, env: &[(&str, &str)]) -> Process {
    Process::start(Path::new("/bin/sh"), &["-c", script], env.iter().copied())
}

async fn until_it_prints(process: &Process, text: &str) {
    wait_until(PATIENCE, text, async || process.output().contains(text).then_some(())).await;
}

#[tokio::test]
async fn only_the_given_variables_path_and_rust_ones_are_passed_on() {
    let mut process = shell("env", &[("PRICE_NORMAL", "2")]);
    assert!(process.wait(PATIENCE).await.success());
    let output = process.output();
    assert!(output.lines().any(|line| line == "PRICE_NORMAL=2"), "{output}");
    // The last four are the shell's own.
    let expected = ["PRICE_NORMAL=", "PATH=", "RUST_", "PWD=", "OLDPWD=", "SHLVL=", "_="];
    let foreign = |line: &&str| !expected.iter().any(|start| line.starts_with(start));
    assert_eq!(output.lines().find(foreign), None);
}

#[tokio::test]
async fn terminate_lets_the_process_choose_its_exit_code() {
    let mut process = shell("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done", &[]);
    until_it_prints(&process, "up").await;
    let status = process.terminate(PATIENCE).await;
    assert_eq!(status.code(), Some(3));
    assert!(process.output().contains("bye"));
}

#[tokio::test]
async fn kill_gives_it_no_chance() {
    let mut process = shell("trap 'echo bye' TERM; echo up; while :; do sleep 0.1; done", &[]);
    until_it_prints(&process, "up").await;
    assert!(process.is_running());
    process.kill();
    assert!(!process.is_running());
    assert_eq!(process.wait(PATIENCE).await.signal(), Some(9));
    assert!(!process.output().contains("bye"));
}

#[tokio::test]
async fn a_paused_process_stands_still_until_resumed() {
    // Only what the shell does by itself: one that starts a program and is stopped at that moment is not in state T.
    let script = "while :; do echo tick; i=0; while [ $i -lt 10000 ]; do i=$((i + 1)); done; done";
    let mut process = shell(script, &[]);
    until_it_prints(&process, "tick").await;
    let state = |id: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the process exists");
        stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).expect("a state")
    };
    process.pause();
    wait_until(PATIENCE, "a stopped process", async || (state(process.id()) == 'T').then_some(())).await;
    let printed = process.output().len();
    process.resume();
    wait_until(PATIENCE, "more output", async || (process.output().len() > printed).then_some(())).await;
}

#[tokio::test]
#[should_panic(expected = "sleep still runs after")]
async fn waiting_for_a_process_that_does_not_end_panics_with_its_name() {
    let sleep = Path::new("/bin/sleep");
    Process::start(sleep, &["1000"], std::iter::empty::<(&str, &str)>()).wait(Duration::from_millis(50)).await;
}

#[test]
#[should_panic(expected = "build the binaries first: cargo build --workspace --bins")]
fn a_binary_that_was_not_built_says_how_to_build_it() {
    binary("no-such-service");
}
