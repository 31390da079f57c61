//! The load generator against a small server that accepts, refuses and hangs up by plan.

mod server;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use loadtest::{Load, SendError, Target, drive};

use server::{Answer, Server};

fn load(warmup: Duration) -> Load {
    Load { rps: 500.0, concurrency: 8, duration: Duration::from_secs(1), warmup, users: 7, ..Load::default() }
}

#[tokio::test]
async fn every_request_is_sent_once_and_counted_as_what_became_of_it() {
    let server = Server::start(|index| match index % 10 {
        3 => Answer::Status(503),
        6 => Answer::Status(429),
        9 => Answer::HangUp,
        _ => Answer::Status(200),
    })
    .await;
    let (tally, _) = drive(server.target(), load(Duration::ZERO), Instant::now(), |_| {}).await.expect("it is there");
    assert_eq!((tally.total(), tally.successful), (500, 350));
    assert_eq!(tally.non_2xx, BTreeMap::from([(429, 50), (503, 50)]));
    assert_eq!(tally.errors, BTreeMap::from([(SendError::Broken, 50)]));
    assert_eq!(server.bodies().len(), 500);
}

#[tokio::test]
async fn bodies_follow_the_plan_and_the_warmup_does_not_count() {
    let server = Server::start(|_| Answer::Status(200)).await;
    let load = load(Duration::from_millis(400));
    let (tally, _) = drive(server.target(), load, Instant::now(), |_| {}).await.expect("it is there");
    assert_eq!(tally.total(), 500);
    let bodies = server.bodies();
    assert_eq!(bodies.len(), 700);
    let mut by_user: BTreeMap<i64, usize> = BTreeMap::new();
    for body in &bodies {
        *by_user.entry(body["customer_id"].as_i64().expect("a number")).or_default() += 1;
    }
    assert_eq!(by_user, (1..=7).map(|user| (user, 100)).collect());
    assert_eq!(bodies.iter().filter(|body| body["type"] == "express").count(), 140);
}

#[tokio::test]
async fn latency_counts_from_the_intended_start() {
    // One connection and a server that answers in 20 ms: at 500 requests a second most wait for those before them.
    let server = Server::start(|_| Answer::Late(Duration::from_millis(20))).await;
    let load = Load { concurrency: 1, duration: Duration::from_millis(200), ..load(Duration::ZERO) };
    let (tally, took) = drive(server.target(), load, Instant::now(), |_| {}).await.expect("it is there");
    assert_eq!(tally.successful, 100);
    assert!(took >= Duration::from_secs(2), "{took:?}");
    // The last one should have started at 198 ms and ended after 2,000 ms, of which its own answer took 20.
    assert!(tally.latency().max >= 1_790.0, "{:?}", tally.latency());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_at_once() {
    let target = Target::parse("http://127.0.0.1:1").expect("a URL");
    let error = drive(target, load(Duration::ZERO), Instant::now(), |_| {}).await.expect_err("nobody listens there");
    assert_eq!(error.to_string(), "http://127.0.0.1:1 cannot be reached (connect)");
}
