//! The database and RabbitMQ under traffic: killed and started again, or frozen for a while with all connections open.

use std::collections::BTreeSet;

use serde_json::Value;
use test_support::{
    ServiceProcess, database_url,
    provision::{Backend, DatabaseServer, RabbitServer},
    rabbit_uri, wait_until,
};

use super::wait_readiness;
use crate::{
    client::{Answer, Kind, Submission},
    platform::{Platform, SETTLED, Setup},
};

/// Each kind of line about an outage is written once a second at most; gives how many were left out in all.
fn lines_left_out(service: &ServiceProcess) -> u64 {
    let (mut written, mut left_out) = (BTreeSet::new(), 0);
    for line in service.output().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let second = line["timestamp"].as_str().expect("a time").split('.').next().unwrap_or_default().to_owned();
        let kind = (line["target"].to_string(), line["message"].to_string(), second);
        if line["outage"].is_string() {
            assert!(written.insert(kind), "twice in a second: {line}");
        }
        left_out += line["repeated"].as_u64().unwrap_or_default();
    }
    left_out
}

/// Messages are delivered as ever.
async fn assert_flowing(platform: &mut Platform) {
    for kind in [Kind::Normal, Kind::Express] {
        let message = platform.send(1, kind, &["+98770"]).await;
        platform.wait_all_terminal().await;
        assert_eq!(platform.history_of(&message).await[0].status, "done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rabbitmq_messages_are_accepted_and_sent_when_it_is_back() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let mut rabbit = RabbitServer::start(backend).await.expect("a private RabbitMQ");
    let mut platform = Setup::on(&database_url(), rabbit.url()).start().await;
    platform.mix_operators();
    platform.fund_traffic().await;
    let traffic = platform.traffic(30, 240);
    traffic.issued(60).await;
    rabbit.kill().await.expect("RabbitMQ can be killed");
    wait_readiness(&platform.gateway, 200, "rabbitmq", "unavailable").await;
    wait_readiness(&platform.relays[0], 503, "rabbitmq", "unavailable").await;
    wait_readiness(&platform.workers[0], 503, "rabbitmq", "unavailable").await;
    let mut waiting = Vec::new();
    for place in 0..5 {
        waiting.push(platform.send(1, Kind::Express, &[&format!("+9880{place}")]).await);
    }
    traffic.issued(120).await;
    let events = platform.tables.outbox_count(&waiting, "pending").await;
    assert_eq!(events, waiting.len(), "events were claimed with nowhere to publish them");

    rabbit.restart().await.expect("RabbitMQ starts again");
    let first_answers = platform.absorb(traffic).await;
    // A machine that stands still for a second costs an answer now and then; an outage would cost half of them.
    assert!(first_answers.unknown() < 24, "{} of 240 requests were turned away", first_answers.unknown());
    platform.wait_all_terminal().await;
    platform.ready().await;
    assert_flowing(&mut platform).await;
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_requests_are_answered_503_and_messages_go_on_when_it_is_back() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let mut database = DatabaseServer::start(backend).await.expect("a private database server");
    let mut platform = Setup::on(database.url(), &rabbit_uri()).start().await;
    platform.mix_operators();
    platform.fund_traffic().await;
    let traffic = platform.traffic(30, 240);
    traffic.issued(60).await;
    database.kill().await.expect("the database can be killed");
    wait_readiness(&platform.gateway, 503, "mysql", "unavailable").await;
    let turned_away = platform.submit(Submission::new(1, Kind::Normal, &["+98801"])).await;
    assert_eq!(turned_away, Answer::Unknown { reason: "503 unavailable".to_owned() });
    let (status, body) = platform.client.get("/balance?user_id=1").await.expect("an answer, not a hang");
    assert_eq!((status, &body["error"]), (503, &"unavailable".into()));
    wait_readiness(&platform.relays[0], 503, "mysql", "unavailable").await;
    wait_readiness(&platform.workers[0], 503, "mysql", "unavailable").await;
    traffic.issued(120).await;
    // It goes on for as long as it takes until both have had more to say than a line a second.
    wait_until(SETTLED, "lines that count those left out", async || {
        let asked = platform.client.get("/balance?user_id=1").await?;
        assert_eq!(asked.0, 503, "{}", asked.1);
        [&platform.gateway, &platform.relays[0]].into_iter().all(|service| lines_left_out(service) > 0).then_some(())
    })
    .await;

    database.restart().await.expect("the database starts again");
    platform.ready().await;
    platform.absorb(traffic).await;
    platform.wait_all_terminal().await;
    assert_flowing(&mut platform).await;
    for service in [&platform.gateway, &platform.relays[0]] {
        lines_left_out(service);
    }
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rabbitmq_that_freezes_loses_nothing() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let mut rabbit = RabbitServer::start(backend).await.expect("a private RabbitMQ");
    let mut platform = Setup::on(&database_url(), rabbit.url()).start().await;
    platform.mix_operators();
    platform.fund_traffic().await;
    let traffic = platform.traffic(30, 150);
    traffic.issued(60).await;
    rabbit.pause().await.expect("RabbitMQ can be paused");
    wait_readiness(&platform.relays[0], 503, "rabbitmq", "unavailable").await;
    wait_readiness(&platform.workers[0], 503, "rabbitmq", "unavailable").await;
    platform.send(1, Kind::Express, &["+98800"]).await;
    rabbit.resume().await.expect("RabbitMQ can be resumed");
    platform.absorb(traffic).await;
    platform.ready().await;
    platform.wait_all_terminal().await;
    assert_flowing(&mut platform).await;
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_freezes_is_answered_503_and_loses_nothing() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let mut database = DatabaseServer::start(backend).await.expect("a private database server");
    let mut platform = Setup::on(database.url(), &rabbit_uri()).start().await;
    platform.mix_operators();
    platform.fund_traffic().await;
    let traffic = platform.traffic(30, 240);
    traffic.issued(60).await;
    database.pause().await.expect("the database can be paused");
    let turned_away = platform.submit(Submission::new(1, Kind::Normal, &["+98801"])).await;
    assert_eq!(turned_away, Answer::Unknown { reason: "503 unavailable".to_owned() });
    wait_readiness(&platform.gateway, 503, "mysql", "unavailable").await;
    wait_readiness(&platform.relays[0], 503, "mysql", "unavailable").await;
    wait_readiness(&platform.workers[0], 503, "mysql", "unavailable").await;
    traffic.issued(200).await;
    database.resume().await.expect("the database can be resumed");
    platform.absorb(traffic).await;
    platform.ready().await;
    platform.wait_all_terminal().await;
    assert_flowing(&mut platform).await;
    platform.finish().await;
}
