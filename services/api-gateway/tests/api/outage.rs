//! The database is not there, or stops answering: every request is answered all the same, and soon.

use std::time::{Duration, Instant};

use serde_json::json;
use test_support::{FaultProxy, database_url, free_port, wait_until};
use tokio::task::JoinSet;

use crate::{
    health::not_ready,
    send::with,
    support::{Fixture, Gateway, Request, fixture::BrokerKind, message, numbers},
};

/// The contract says a second; the rest is for a machine that has other things to do.
const SOON: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(1);

fn requests() -> [Request; 4] {
    [
        Request::post("/messages/send", &message(1, &["111"])).key("k"),
        Request::post("/balance/add", &json!({"user_id": 1, "balance": 1})).key("k"),
        Request::get("/messages/history?user_id=1"),
        Request::get("/balance?user_id=1"),
    ]
}

/// Nothing that needs the database works, everything is answered in time, and what needs no database works.
async fn assert_out_of_order(api: Gateway) {
    let mut calls = JoinSet::new();
    // Two of these fill a transaction: the last would wait for a dozen timeouts, one after the other.
    let large = with(&message(1, &[]), "recipients", json!(numbers(1000)));
    let large = std::iter::repeat_n(Request::post("/messages/send", &large), 24);
    for request in requests().into_iter().cycle().take(40).chain(large) {
        calls.spawn(async move {
            let started = Instant::now();
            let answer = api.call_once(&request).await;
            (started.elapsed(), answer)
        });
    }
    for (took, answer) in calls.join_all().await {
        match answer.status {
            // The key is held by a request that waits for the database.
            409 => drop(answer.error(409, "idempotency_in_progress")),
            _ => drop(answer.error(503, "unavailable")),
        }
        assert!(took < SOON, "a request hung for {took:?}");
    }
    let alive = api.get("/healthz").await;
    assert_eq!(alive.ok(), json!({"status": "ok"}));
    let started = Instant::now();
    let dependencies = not_ready(&api.get("/readyz").await);
    assert!(started.elapsed() < SOON, "/readyz hung");
    assert_eq!(dependencies, json!({"mysql": "unavailable", "rabbitmq": "ok"}));
    api.call(Request::post_bytes("/messages/send", "{")).await.invalid("JSON");
    api.get("/nowhere").await.error(404, "not_found");
    api.get("/openapi.json").await.ok();
    assert!(!api.metrics().await.samples.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_never_was() {
    let fixture = Fixture::without_database();
    let url = format!("mysql://user:hush-hush@127.0.0.1:{}/nothing", free_port());
    let api = fixture.start(&[("DATABASE_URL", &url)], BrokerKind::InProcess).await;
    assert_out_of_order(api).await;
    // A key that cannot be looked up may be a good one.
    let with_key = Request::get("/balance?user_id=1").with_key("mpk_0123456789abcdefghijABCDEFGHIJ011PgylC");
    for request in requests().into_iter().chain([with_key]) {
        let message = api.call_once(&request).await.error(503, "unavailable");
        assert!(!message.contains("hush") && !message.contains("127.0.0.1"), "{message}");
    }
    fixture.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_connections_and_says_nothing() {
    let fixture = Fixture::without_database();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("mysql://user:secret@{}/nothing", silent.local_addr().expect("bound"));
    // Nobody migrates here: the gateway looks at the schema and gets no answer.
    let settings = [("DATABASE_URL", url.as_str()), ("AUTO_MIGRATE", "false")];
    let api = fixture.start(&settings, BrokerKind::InProcess).await;
    assert_out_of_order(api).await;
    fixture.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_and_comes_back() {
    let fixture = Fixture::server().await;
    let (proxy, server) = FaultProxy::in_front_of(&database_url()).await.expect("a proxy");
    let name = fixture.url().rsplit('/').next().expect("a database name");
    let through_proxy = format!("{}/{name}", server.trim_end_matches('/'));
    let api = fixture.gateway(&[("DATABASE_URL", &through_proxy)]).await;
    api.fund(1, 100).await;
    for request in requests() {
        api.call(request).await.ok();
    }
    proxy.cut().await;
    assert_out_of_order(api).await;
    proxy.heal().await;
    assert_recovers(api).await;
    proxy.freeze().await;
    assert_out_of_order(api).await;
    proxy.heal().await;
    assert_recovers(api).await;
    // One send and one top-up, however often their keys were tried.
    assert_eq!(api.balance(1).await, 100);
    fixture.remove().await;
}

async fn assert_recovers(api: Gateway) {
    api.ready().await;
    for request in requests() {
        let works = async || (api.call_once(&request).await.status == 200).then_some(());
        wait_until(PATIENCE, "the gateway works again", works).await;
    }
}

/// Numbers and states that a server, a proxy or a cluster sends while it refuses for now; no mistake of a client or of
/// ours.
const PASSING: [(u16, &str); 42] = [
    (1020, "HY000"),
    (1021, "HY000"),
    (1030, "HY000"),
    (1038, "HY001"),
    (1041, "HY000"),
    (1044, "42000"),
    (1045, "28000"),
    (1047, "08S01"),
    (1053, "08S01"),
    (1105, "HY000"),
    (1114, "HY000"),
    (1142, "42000"),
    (1143, "42000"),
    (1158, "08S01"),
    (1159, "08S01"),
    (1160, "08S01"),
    (1161, "08S01"),
    (1180, "HY000"),
    (1203, "42000"),
    (1205, "HY000"),
    (1206, "HY000"),
    (1213, "40001"),
    (1226, "42000"),
    (1243, "HY000"),
    (1290, "HY000"),
    (1317, "70100"),
    (1412, "HY000"),
    (1615, "HY000"),
    (1637, "HY000"),
    (1792, "25006"),
    (1836, "HY000"),
    (1927, "70100"),
    (1969, "70100"),
    (2006, "HY000"),
    (2013, "HY000"),
    (3024, "HY000"),
    (3100, "HY000"),
    (3101, "40000"),
    (9001, "HY000"),
    // Known to nobody here: by the class of their state.
    (5999, "08S01"),
    (5999, "40001"),
    (5999, "25006"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_for_now_is_no_mistake_of_ours() {
    let fixture = Fixture::server().await;
    let api = fixture.gateway(&[]).await;
    api.fund(1, 100).await;
    let mut sql = fixture.sql().await;
    let top_up = json!({"user_id": 1, "balance": 1});
    let mut refuse = async |number: u16, state: &str| {
        sql.execute("DROP TRIGGER IF EXISTS refusal").await;
        let signal = format!("SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'not now'");
        sql.execute(&format!("CREATE TRIGGER refusal BEFORE INSERT ON user_transactions FOR EACH ROW {signal}")).await;
    };
    for (place, (number, state)) in PASSING.into_iter().enumerate() {
        refuse(number, state).await;
        let key = format!("passing-{place}");
        for request in [
            Request::post("/balance/add", &top_up).key(&key),
            Request::post("/messages/send", &message(1, &["111"])).key(&key),
        ] {
            let answer = api.call_once(&request).await;
            assert_eq!(answer.status, 503, "{number} ({state}): {}", answer.text());
            answer.error(503, "unavailable");
        }
    }
    for (number, state) in [(1048, "23000"), (1054, "42S22"), (1366, "HY000")] {
        refuse(number, state).await;
        api.call_once(&Request::post("/balance/add", &top_up)).await.error(500, "internal_error");
    }
    sql.execute("DROP TRIGGER refusal").await;
    // Nothing of all that was stored, and everything works as before.
    assert_eq!(api.balance(1).await, 100);
    api.call(Request::post("/balance/add", &top_up).key("passing-0")).await.ok();
    api.call(Request::post("/messages/send", &message(1, &["111"])).key("passing-0")).await.ok();
    assert_eq!(api.balance(1).await, 100);
    fixture.remove().await;
}
