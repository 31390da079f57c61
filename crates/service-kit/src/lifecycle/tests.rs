use std::{future::pending, io::Error};

use tokio::{sync::oneshot, time::sleep};

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_running_work_and_is_a_success() {
    let lifecycle = Lifecycle::for_tests();
    let (done, mut finished) = oneshot::channel();
    let stop = lifecycle.stop.clone();
    lifecycle.scope().spawn("worker", async move {
        stop.cancelled().await;
        sleep(MINUTE / 2).await;
        let _ = done.send(());
    });
    lifecycle.scope().spawn("short", async {});
    lifecycle.stop.cancel();

    let start = Instant::now();
    assert_eq!(lifecycle.run(MINUTE).await, code(true));
    assert_eq!(start.elapsed(), MINUTE / 2, "no longer than the work takes");
    assert_eq!(finished.try_recv(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_end_is_cut_off_after_the_drain_time() {
    let lifecycle = Lifecycle::for_tests();
    lifecycle.scope().spawn("stuck", pending::<()>());
    lifecycle.stop.cancel();
    let start = Instant::now();
    assert_eq!(lifecycle.run(MINUTE).await, code(false));
    assert_eq!(start.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn an_error_stops_the_process_with_a_failure() {
    let lifecycle = Lifecycle::for_tests();
    let stop = lifecycle.stop.clone();
    lifecycle.scope().spawn("other", async move { stop.cancelled().await });
    lifecycle.scope().spawn("broken", async { Err::<(), _>(Error::other("the disk is full")) });
    assert_eq!(lifecycle.run(MINUTE).await, code(false));
}

#[tokio::test(start_paused = true)]
async fn a_panic_stops_the_process_with_a_failure() {
    let lifecycle = Lifecycle::for_tests();
    let stop = lifecycle.stop.clone();
    lifecycle.scope().spawn("other", async move { stop.cancelled().await });
    lifecycle.scope().spawn("broken", async {
        let empty: [u8; 0] = [];
        assert_eq!(empty.first(), Some(&1), "a bug");
    });
    assert_eq!(lifecycle.run(MINUTE).await, code(false));
}

#[tokio::test(start_paused = true)]
async fn a_failure_during_the_drain_counts() {
    let lifecycle = Lifecycle::for_tests();
    let stop = lifecycle.stop.clone();
    lifecycle.scope().spawn("late", async move {
        stop.cancelled().await;
        Err::<(), _>("the last batch was not recorded")
    });
    lifecycle.stop.cancel();
    assert_eq!(lifecycle.run(MINUTE).await, code(false));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_returns_by_itself_stops_nothing() {
    let lifecycle = Lifecycle::for_tests();
    lifecycle.scope().spawn("short", async { Ok::<(), Error>(()) });
    let stop = lifecycle.stop.clone();
    let running = lifecycle.run(MINUTE);
    tokio::pin!(running);
    assert!(timeout(MINUTE, &mut running).await.is_err(), "runs until it is stopped");
    stop.cancel();
    assert_eq!(running.await, code(true));
}

#[tokio::test(start_paused = true)]
async fn support_outlives_the_work_and_closes_after_it() {
    let lifecycle = Lifecycle::for_tests();
    let finish = lifecycle.scope().finish;
    let (stop, seen) = (lifecycle.stop.clone(), finish.clone());
    lifecycle.scope().spawn("worker", async move {
        stop.cancelled().await;
        sleep(MINUTE / 2).await;
        if seen.is_cancelled() { Err("the connection closed under the worker") } else { Ok(()) }
    });
    lifecycle.scope().spawn_support("connection", async move { finish.cancelled().await });
    lifecycle.stop.cancel();
    assert_eq!(lifecycle.run(MINUTE).await, code(true));
}

#[tokio::test(start_paused = true)]
async fn support_that_does_not_close_is_cut_off_too() {
    let lifecycle = Lifecycle::for_tests();
    lifecycle.scope().spawn_support("stuck", pending::<()>());
    lifecycle.stop.cancel();
    let start = Instant::now();
    assert_eq!(lifecycle.run(MINUTE).await, code(false));
    assert_eq!(start.elapsed(), FINISH_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_scope_stops_alone_but_fails_for_all() {
    let lifecycle = Lifecycle::for_tests();
    let (gateway, worker) = (lifecycle.scope(), lifecycle.scope());
    gateway.stop.cancel();
    assert!(!worker.stop.is_cancelled() && !lifecycle.stop.is_cancelled());

    gateway.spawn("broken", async { Err::<(), _>("no more") });
    let stop = worker.stop.clone();
    worker.spawn("worker", async move { stop.cancelled().await });
    assert_eq!(lifecycle.run(MINUTE).await, code(false));
    assert!(worker.stop.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn an_abort_ends_the_waiting_at_once() {
    let lifecycle = Lifecycle::for_tests();
    lifecycle.scope().spawn("stuck", pending::<()>());
    let shared = Arc::clone(&lifecycle.scope.shared);
    lifecycle.stop.cancel();
    shared.abort.cancel();
    let start = Instant::now();
    assert_eq!(lifecycle.run(MINUTE).await, code(false));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn tasks_that_still_run_are_named() {
    let lifecycle = Lifecycle::for_tests();
    let scope = lifecycle.scope();
    let release = CancellationToken::new();
    for name in ["lane", "lane", "purge"] {
        scope.spawn(name, release.clone().cancelled_owned());
    }
    assert_eq!(scope.running(), "lane x2, purge");
    release.cancel();
    lifecycle.stop.cancel();
    assert_eq!(lifecycle.run(MINUTE).await, code(true));
    assert_eq!(scope.running(), "");
}

#[test]
fn an_error_is_told_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot claim events")]
    struct Outer(#[source] Error);

    assert_eq!(
        Err::<(), _>(Outer(Error::other("deadlock"))).into_result().unwrap_err(),
        "cannot claim events: deadlock"
    );
    assert_eq!(Err::<(), _>("plain").into_result().unwrap_err(), "plain");
}

#[tokio::test(start_paused = true)]
async fn measuring_the_process_ends_after_the_drain() {
    let lifecycle = Lifecycle::for_tests();
    lifecycle.scope().measure_process();
    lifecycle.stop.cancel();
    assert_eq!(lifecycle.run(MINUTE).await, code(true));
}
