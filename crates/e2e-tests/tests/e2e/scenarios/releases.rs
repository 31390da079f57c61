//! The binaries on a schema of another release.

use std::time::Duration;

use broker::{Broker, Outgoing, Published, Topology};
use bytes::Bytes;
use migrations::{CHANGES, Change, Migrator, Older, Step};
use secrecy::SecretString;
use test_support::{Process, ServiceProcess, binary, rabbit_uri, wait_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::wait_readiness;
use crate::{
    client::{Answer, Kind, Submission},
    platform::{Observed as _, Platform, Setup, Standalone},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// Output and exit code of `migrate`.
async fn migrate(url: &str, command: &str) -> (String, Option<i32>) {
    let mut process = Process::start(&binary("migrate"), &[command], [("DATABASE_URL", url)]);
    let status = process.wait(PATIENCE).await;
    (process.output(), status.code())
}

/// What a newer release knows: all of this one's changes, and one of its own.
fn newer_release(older: Older) -> Migrator {
    const STEPS: &[Step] = &[Step::Column(
        "user_balances",
        "currency",
        "ALTER TABLE user_balances ADD COLUMN currency CHAR(3) NOT NULL DEFAULT 'EUR'",
    )];
    const BACK: &[&str] = &["ALTER TABLE user_balances DROP COLUMN currency"];
    let name = "m0099_of_a_newer_release";
    let change = Change { name, older, mysql: STEPS, mysql_down: BACK, sqlite: STEPS, sqlite_down: BACK };
    Migrator::new(CHANGES.iter().copied().chain([change]).collect::<Vec<_>>())
}

/// Messages in the queue go to whoever can work on them: here to this test.
async fn assert_left_alone(platform: &Platform, worker: &ServiceProcess) {
    const MESSAGES: usize = 20;
    let names = &platform.names;
    let topology = Topology::new(&names.exchange, &names.express_queue, &names.normal_queue).expect("valid names");
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let broker = Broker::amqp(SecretString::from(rabbit_uri()), topology, &tasks, stop.clone()).expect("a valid uri");
    broker.publisher().ready().await;
    let message = |number| Outgoing {
        exchange: names.exchange.clone(),
        routing_key: names.normal_queue.clone(),
        message_id: format!("left-alone-{number}"),
        body: Bytes::from_static(b"{}"),
        traceparent: None,
        timestamp: 1_700_000_000,
    };
    let published = broker.publisher().publish((0..MESSAGES).map(message).collect()).await;
    assert_eq!(published, vec![Published::Confirmed; MESSAGES]);
    let mut consumer = broker.consumer(&names.normal_queue, 100);
    for _ in 0..MESSAGES {
        wait_until(PATIENCE, "a message that nobody else took", async || consumer.next().await).await.ack().await;
    }
    assert!(worker.metric("worker_events_total", &[]).await < 0.5, "the worker took a message");
    consumer.stop().await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

async fn assert_unavailable(platform: &mut Platform) {
    let answer = platform.submit(Submission::new(1, Kind::Normal, &["+98770"])).await;
    assert_eq!(answer, Answer::Unknown { reason: "503 unavailable".to_owned() });
}

async fn assert_flowing(platform: &mut Platform) {
    let message = platform.send(1, Kind::Normal, &["+98770"]).await;
    platform.wait_all_terminal().await;
    assert_eq!(platform.history_of(&message).await[0].status, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_auto_migrate_services_wait_for_the_schema_and_say_so() {
    let mut platform = Setup::new().set("AUTO_MIGRATE", "false").start_unready().await;
    let url = platform.tables.url().to_owned();
    for service in [&platform.gateway, &platform.relays[0], &platform.workers[0]] {
        wait_readiness(service, 503, "mysql", "schema_missing").await;
        let said = wait_until(PATIENCE, "what is missing", async || {
            service.output().lines().find(|line| line.contains("m0001_reference_tables")).map(ToOwned::to_owned)
        });
        assert!(said.await.contains("migrate up"));
    }
    assert_unavailable(&mut platform).await;
    let (listed, code) = migrate(&url, "status").await;
    let pending = listed.lines().filter(|line| line.starts_with("pending ")).count();
    assert_eq!((pending, code), (CHANGES.len(), Some(2)), "{listed}");
    assert_eq!(migrate(&url, "up").await.1, Some(0));
    assert_eq!(migrate(&url, "up").await.1, Some(0), "once more changes nothing");
    assert_eq!(migrate(&url, "status").await.1, Some(0));
    platform.ready().await;
    platform.top_up(1, 1_000).await;
    assert_flowing(&mut platform).await;
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_works_on_a_newer_schema_that_leaves_it_working() {
    let mut platform = Setup::new().start().await;
    let url = platform.tables.url().to_owned();
    platform.top_up(1, 1_000).await;
    newer_release(Older::GoOn).up(&url).await.expect("the newer release migrates");
    // Rolled back to this release: it finds at its start what the newer one left.
    platform.gateway.kill_and_restart();
    platform.relays[0].kill_and_restart();
    platform.workers[0].kill_and_restart();
    platform.ready().await;
    assert_flowing(&mut platform).await;

    let (listed, code) = migrate(&url, "status").await;
    assert!(listed.contains("newer m0099_of_a_newer_release") && code == Some(0), "{listed}");
    assert_eq!(migrate(&url, "up").await.1, Some(0));
    let (refused, code) = migrate(&url, "down").await;
    assert!(refused.contains("m0099_of_a_newer_release") && code == Some(1), "{refused}");
    assert_eq!(migrate(&url, "status").await.0, listed, "nothing was taken back");
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_must_not_work_on_a_newer_schema_says_so_and_takes_nothing() {
    let mut platform = Setup::new().start().await;
    let url = platform.tables.url().to_owned();
    platform.top_up(1, 1_000).await;
    newer_release(Older::From(99)).up(&url).await.expect("the newer release migrates");
    // Those that run as well as those that start.
    platform.relays[0].kill_and_restart();
    for service in [&platform.gateway, &platform.relays[0], &platform.workers[0]] {
        wait_readiness(service, 503, "mysql", "schema_too_new").await;
        assert!(service.output().contains("m0099_of_a_newer_release"), "{}", service.output());
    }
    assert_unavailable(&mut platform).await;
    assert_left_alone(&platform, &platform.workers[0]).await;
    let (refused, code) = migrate(&url, "up").await;
    assert!(refused.contains("m0099_of_a_newer_release") && code == Some(1), "{refused}");
    let (listed, code) = migrate(&url, "status").await;
    assert!(listed.contains("too-new m0099_of_a_newer_release") && code == Some(2), "{listed}");

    newer_release(Older::From(99)).down(&url, Some(1)).await.expect("the newer release takes it back");
    platform.ready().await;
    assert_flowing(&mut platform).await;
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_ends_on_a_newer_schema_with_a_line_that_says_what_to_do() {
    let mut standalone = Standalone::start().await;
    let url = standalone.database_url();
    assert!(standalone.service.terminate().await.success());
    newer_release(Older::From(99)).up(&url).await.expect("the newer release migrates");
    let env = [("DATABASE_URL", url.as_str()), ("LISTEN_ADDR", "127.0.0.1:0")];
    let mut process = Process::start(&binary("standalone"), &[], env);
    assert_eq!(process.wait(PATIENCE).await.code(), Some(1));
    let output = process.output();
    let said = output.lines().last().unwrap_or_default();
    assert!(said.starts_with("standalone: ") && said.contains("m0099_of_a_newer_release"), "{output}");
    assert!(said.contains("start that release or a newer one"), "{output}");

    newer_release(Older::From(99)).down(&url, Some(1)).await.expect("the newer release takes it back");
    newer_release(Older::GoOn).up(&url).await.expect("and makes a change that leaves us working");
    standalone.service.start();
    standalone.service.ready().await;
    standalone.finish().await;
}
