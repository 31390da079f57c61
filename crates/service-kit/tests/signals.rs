//! Signals to a whole process, so this has a test binary of its own, with one test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    future::pending,
    process::{Command, ExitCode},
    time::Duration,
};

use service_kit::Lifecycle;
use tokio::time::timeout;

fn send(signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let lifecycle = Lifecycle::new().unwrap();
        let stop = lifecycle.stop.clone();
        lifecycle.scope().spawn("worker", async move { stop.cancelled().await });
        send(signal);
        let code = timeout(Duration::from_mins(1), lifecycle.run(Duration::from_hours(1))).await;
        assert_eq!(code, Ok(ExitCode::SUCCESS), "SIG{signal}");
    }

    let lifecycle = Lifecycle::new().unwrap();
    let stop = lifecycle.stop.clone();
    lifecycle.scope().spawn("stuck", pending::<()>());
    lifecycle.scope().spawn("impatient", async move {
        send("TERM");
        stop.cancelled().await;
        send("INT");
    });
    let code = timeout(Duration::from_mins(1), lifecycle.run(Duration::from_hours(1))).await;
    assert_eq!(code, Ok(ExitCode::FAILURE), "the stuck task was given up");
}
