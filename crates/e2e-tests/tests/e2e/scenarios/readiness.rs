//! What `/readyz` says when a server is there and does not do what is needed: an alarm of RabbitMQ, a read-only database.

use sqlx::{AssertSqlSafe, Connection as _, mysql::MySqlConnection};
use test_support::{
    create_database, database_url,
    provision::{Backend, DatabaseServer, RabbitServer},
    rabbit_uri, wait_until,
};

use super::wait_readiness;
use crate::{
    client::{Answer, Kind, Submission},
    platform::{SETTLED, Setup},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_of_rabbitmq_makes_only_relays_not_ready_and_stalls_no_rollout_of_workers() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let rabbit = RabbitServer::start(backend).await.expect("a private RabbitMQ");
    let mut platform = Setup::on(&database_url(), rabbit.url()).set("READYZ_REQUIRES_BROKER", "true").start().await;
    platform.top_up(1, 1_000).await;
    rabbit.set_memory_alarm(true).await.expect("rabbitmqctl works");

    // Nothing is published meanwhile: an idle relay must see it as well.
    wait_readiness(&platform.relays[0], 503, "rabbitmq", "blocked").await;
    wait_readiness(&platform.gateway, 200, "rabbitmq", "blocked").await;
    wait_readiness(&platform.workers[0], 200, "rabbitmq", "blocked").await;
    let message = platform.send(1, Kind::Express, &["+98770"]).await;
    // A rollout: new ones come up during the alarm.
    platform.workers[0].kill_and_restart();
    platform.workers[0].ready().await;
    platform.relays[0].kill_and_restart();
    wait_readiness(&platform.relays[0], 503, "rabbitmq", "blocked").await;
    assert_eq!(
        platform.tables.outbox_count(std::slice::from_ref(&message), "pending").await,
        1,
        "nothing is claimed meanwhile"
    );

    rabbit.set_memory_alarm(false).await.expect("rabbitmqctl works");
    for service in [&platform.relays[0], &platform.gateway, &platform.workers[0]] {
        wait_readiness(service, 200, "rabbitmq", "ok").await;
    }
    platform.wait_all_terminal().await;
    assert_eq!(platform.history_of(&message).await[0].status, "done");
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_reported_and_takes_no_gateway_out_of_service() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let database = DatabaseServer::start(backend).await.expect("a private database server");
    let mut admin = MySqlConnection::connect(database.url()).await.expect("connects");
    let mut run = async |sql: &'static str| {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    // Administrators are not bound by read_only.
    run("CREATE USER 'plain'@'%' IDENTIFIED BY 'secret'").await;
    run("GRANT ALL ON `platform`.* TO 'plain'@'%'").await;
    let url = create_database(database.url(), "platform").await.expect("a database");
    let plain = format!("mysql://plain:secret@{}", url.rsplit_once('@').expect("credentials").1);
    let setup = Setup::on(database.url(), &rabbit_uri());
    let on_plain = |setup: Setup, service| setup.set_for(service, "DATABASE_URL", &plain);
    let mut platform =
        ["api-gateway", "outbox-relay", "delivery-worker"].into_iter().fold(setup, on_plain).start().await;
    platform.tables = crate::tables::Tables::new(&url);
    platform.top_up(1, 1_000).await;

    run("SET GLOBAL read_only = 1").await;
    wait_readiness(&platform.gateway, 200, "mysql", "read_only").await;
    wait_readiness(&platform.relays[0], 503, "mysql", "read_only").await;
    wait_readiness(&platform.workers[0], 503, "mysql", "read_only").await;
    let refused = platform.submit(Submission::new(1, Kind::Normal, &["+98770"])).await;
    assert_eq!(refused, Answer::Unknown { reason: "503 unavailable".to_owned() });
    let (status, body) = platform.client.get("/balance?user_id=1").await.expect("an answer");
    assert_eq!((status, &body["balance"]), (200, &1_000.into()));

    run("SET GLOBAL read_only = 0").await;
    for service in [&platform.gateway, &platform.relays[0], &platform.workers[0]] {
        wait_readiness(service, 200, "mysql", "ok").await;
    }
    wait_until(SETTLED, "messages flow again", async || {
        let answer = platform.submit(Submission::new(1, Kind::Normal, &["+98770"])).await;
        matches!(answer, Answer::Accepted { .. }).then_some(())
    })
    .await;
    platform.wait_all_terminal().await;
    platform.finish().await;
}
