//! An operator over SMPP: workers killed with a full window, an SMSC that restarts, freezes or throttles, and more than one worker.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use operator_simulator::{
    Decision, Entry, Smsc, SmscBehaviour, SmscEntry, SmscEvent, SmscMode, SmscOptions, SmscReceipt, SmscSubmit,
};
use smpp::{MessageState, Status};
use test_support::{FaultProxy, wait_until};

use crate::{
    client::Kind,
    platform::{Observed as _, Platform, SETTLED, Setup},
};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn smsc() -> Smsc {
    Smsc::start(ANY, SmscOptions::default()).expect("a free port")
}

/// One operator, over SMPP, with two tries for each message.
fn setup(url: &str, parameters: &str) -> Setup {
    Setup::new().operators(&["operatorA"]).first_operator_at(&format!("{url}?{parameters}"))
}

fn submits(smsc: &Smsc) -> Vec<(SmscEntry, SmscSubmit)> {
    let of = |entry: SmscEntry| match entry.what.clone() {
        SmscEvent::SubmitSm(submit) => Some((entry, *submit)),
        _ => None,
    };
    smsc.journal().into_iter().filter_map(of).collect()
}

/// What reached SMSCs, as the checker of all scenarios reads it. Each number is of one message.
async fn entries(platform: &Platform, smscs: &[&Smsc]) -> Vec<Entry> {
    let rows = platform.client.history("user_id=1").await;
    let by_number: HashMap<&str, _> = rows.iter().map(|row| (row.recipient.trim_start_matches('+'), row)).collect();
    let entry = |(entry, submit): (SmscEntry, SmscSubmit)| {
        let row = by_number.get(submit.destination.address.as_str()).expect("only messages of ours are sent");
        Entry {
            seq: entry.seq,
            operator: "operatorA".to_owned(),
            key: format!("{}:{}", row.message_identifier, row.recipient),
            message_id: row.message_identifier.clone(),
            recipient: row.recipient.clone(),
            r#type: row.kind.clone(),
            from: None,
            encoding: None,
            segments: None,
            decision: if submit.decision.is_accepted() { Decision::Accepted } else { Decision::Failed },
            duplicate: false,
            traceparent: None,
            at_ms: entry.at_ms,
        }
    };
    smscs.iter().flat_map(|smsc| submits(smsc)).map(entry).collect()
}

/// All messages become final, and what is recorded is what the SMSCs say.
async fn finish(platform: Platform, smscs: &[&Smsc]) {
    platform.wait_all_terminal().await;
    let entries = entries(&platform, smscs).await;
    platform.finish_with(entries).await;
}

/// Sends one message to each of so many numbers.
async fn send_many(platform: &mut Platform, kind: Kind, prefix: &str, count: usize) {
    for number in 0..count {
        platform.send(1, kind, &[&format!("{prefix}{number:03}")]).await;
    }
}

async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    wait_until(SETTLED, what, async || condition().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_a_full_window_a_worker_loses_nothing_and_nothing_that_was_taken_is_refunded() {
    let smsc = smsc();
    smsc.set_behaviour(SmscMode::Silent).expect("valid");
    let mut platform = setup(&smsc.url(), "window=10&timeout_ms=2000").start().await;
    platform.top_up(1, 1_000).await;
    send_many(&mut platform, Kind::Express, "+98102", 30).await;
    wait_for("a full window", || submits(&smsc).len() >= 10).await;
    smsc.set_behaviour(SmscMode::ACCEPT).expect("valid");
    platform.workers[0].kill_and_restart();
    finish(platform, &[&smsc]).await;
    let stats = smsc.stats();
    assert!(stats.max_window <= 10, "{stats:?}");
    smsc.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_smsc_that_restarts_under_traffic_loses_and_fails_nothing() {
    let first = smsc();
    let address = first.address();
    let receipts = || SmscBehaviour::default().with_receipts(vec![SmscReceipt::of(MessageState::Delivered)]);
    first.set_behaviour(receipts()).expect("valid");
    let mut platform = setup(&first.url(), "window=5&timeout_ms=2000").start().await;
    platform.top_up(1, 1_000).await;
    send_many(&mut platform, Kind::Normal, "+98201", 20).await;
    wait_for("some at the SMSC", || submits(&first).len() >= 5).await;
    first.stop().await;
    send_many(&mut platform, Kind::Normal, "+98202", 20).await;
    send_many(&mut platform, Kind::Express, "+98203", 5).await;
    let second = Smsc::start(address, SmscOptions { first_id: 100_000, ..SmscOptions::default() }).expect("its port");
    second.set_behaviour(receipts()).expect("valid");
    platform.wait_all_terminal().await;
    let rows = platform.client.history("user_id=1").await;
    assert!(rows.len() == 45 && rows.iter().all(|row| row.status == "done"), "{rows:?}");
    let told = "SELECT COUNT(*) FROM message_status WHERE delivery_status = 'delivered'";
    let second_took = submits(&second).len();
    wait_until(SETTLED, "receipts of what the second one took", async || {
        (platform.tables.number(told).await >= i64::try_from(second_took).expect("few")).then_some(())
    })
    .await;
    finish(platform, &[&first, &second]).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_smsc_is_noticed_and_what_it_may_have_is_not_refunded() {
    let smsc = smsc();
    let (proxy, url) = FaultProxy::in_front_of(&smsc.url()).await.expect("a proxy before the SMSC");
    let mut platform = setup(&url, "window=5&timeout_ms=1000&enquire_s=1").start().await;
    platform.top_up(1, 1_000).await;
    platform.send(1, Kind::Express, &["+98301000"]).await;
    platform.wait_all_terminal().await;
    proxy.freeze().await;
    send_many(&mut platform, Kind::Express, "+98302", 10).await;
    let silent = [r#"operator="operatorA""#, r#"reason="silent""#];
    let worker = &platform.workers[0];
    wait_until(SETTLED, "the end of the session", async || {
        (worker.metric("smpp_reconnects_total", &silent).await > 0.0).then_some(())
    })
    .await;
    proxy.heal().await;
    platform.wait_all_terminal().await;
    let rows = platform.client.history("user_id=1").await;
    assert!(rows.iter().all(|row| row.status == "done"), "{rows:?}");
    finish(platform, &[&smsc]).await;
    smsc.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_throttling_opens_no_breaker_fails_nothing_and_express_goes_first() {
    let smsc = smsc();
    smsc.set_behaviour(SmscMode::refuse(Status::THROTTLED)).expect("valid");
    let mut platform = setup(&smsc.url(), "window=5&timeout_ms=10000").start().await;
    platform.top_up(1, 1_000).await;
    send_many(&mut platform, Kind::Normal, "+98401", 60).await;
    wait_for("throttling", || smsc.stats().submits > 0).await;
    let express = platform.send(1, Kind::Express, &["+98402000"]).await;
    wait_until(SETTLED, "the worker to have the express message", async || {
        (platform.history_of(&express).await[0].status == "sending").then_some(())
    })
    .await;
    // From here on it takes some, and throttles the others.
    smsc.set_behaviour(SmscBehaviour { tps: 10, ..SmscBehaviour::default() }).expect("valid");
    platform.wait_all_terminal().await;
    let rows = platform.client.history("user_id=1").await;
    assert!(rows.len() == 61 && rows.iter().all(|row| row.status == "done"), "{rows:?}");
    let taken: Vec<_> = submits(&smsc).into_iter().filter(|(_, submit)| submit.decision.is_accepted()).collect();
    let express = taken.iter().position(|(_, submit)| submit.destination.address == "98402000").expect("it was sent");
    assert!(express < 5, "{express} went before it: more than a window");
    let operator = [r#"operator="operatorA""#];
    assert!(platform.workers[0].metric("operator_breaker_state", &operator).await == 0.0);
    let skipped = platform.workers[0].metric("operator_calls_total", &[operator[0], r#"result="breaker_open""#]).await;
    assert!(skipped == 0.0, "{skipped} were skipped");
    finish(platform, &[&smsc]).await;
    smsc.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_with_two_binds_each_keep_to_their_bounds_and_unbind_when_they_stop() {
    let smsc = smsc();
    let slow = SmscMode::Accept { delay: Duration::from_millis(20) };
    smsc.set_behaviour(SmscBehaviour { max_binds: Some(4), ..SmscBehaviour::from(slow) }).expect("valid");
    let mut platform = setup(&smsc.url(), "binds=2&window=3&tps=25&timeout_ms=10000").replicas(2).start().await;
    wait_for("all sessions", || smsc.stats().sessions == 4).await;
    for worker in &platform.workers {
        wait_until(SETTLED, "sessions to be told of", async || {
            (worker.readiness().await?.1["dependencies"]["smpp:operatorA"] == "ok").then_some(())
        })
        .await;
    }
    platform.top_up(1, 1_000).await;
    send_many(&mut platform, Kind::Normal, "+98501", 120).await;
    platform.wait_all_terminal().await;
    let sessions: std::collections::BTreeSet<_> = submits(&smsc).iter().map(|(entry, _)| entry.session).collect();
    assert_eq!(sessions.len(), 4, "all of them send");
    for worker in &mut platform.workers {
        worker.terminate().await;
    }
    let stats = smsc.stats();
    // The SMSC counts when it reads, and on a busy machine not at once.
    assert!(stats.max_window <= 3 && stats.max_per_second <= 75 && stats.binds_refused == 0, "{stats:?}");
    let unbound = |entry: &&SmscEntry| matches!(entry.what, SmscEvent::Unbind { by_smsc: false });
    assert_eq!(smsc.journal().iter().filter(unbound).count(), 4);
    finish(platform, &[&smsc]).await;
    smsc.stop().await;
}
