//! Operators over SMPP, from the queue to the books.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use domain::PerLane;
use operator_simulator::{Smsc, SmscBehaviour, SmscEvent, SmscMode, SmscOptions, SmscReceipt, SmscRule};
use operators::OperatorsConfig;
use smpp::{MessageState, Status};
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::{Fixture, PRICE, config, eventually, express, message, operators};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn smsc() -> Smsc {
    Smsc::start(ANY, SmscOptions::default()).expect("a free port")
}

/// The one operator `a`.
fn over_smpp(smsc: &Smsc, parameters: &str) -> OperatorsConfig {
    operators(&format!("a={}?{parameters}", smsc.url()))
}

fn submits(smsc: &Smsc) -> usize {
    smsc.journal().iter().filter(|entry| matches!(entry.what, SmscEvent::SubmitSm(_))).count()
}

fn delivered() -> Vec<SmscReceipt> {
    vec![SmscReceipt::of(MessageState::Delivered)]
}

/// Waits until a message's only recipient is told to be this.
async fn is_told(fixture: &Fixture, message: &str, told: &str) {
    let query = format!(
        "SELECT COUNT(*) FROM message_status WHERE message_identifier = '{message}' AND delivery_status = '{told}'"
    );
    eventually(&format!("{message} to be {told}"), async || fixture.sql.number(&query).await == 1).await;
}

/// Ends the SMSC, and waits until the worker knows of no session.
async fn goes_away(fixture: &Fixture, smsc: Smsc) {
    smsc.stop().await;
    let bound = r#"smpp_sessions{operator="a",state="bound"}"#;
    eventually("the end of the session", async || fixture.metrics.value(bound) == 0).await;
}

#[tokio::test]
async fn receipts_on_a_session_end_where_those_over_http_do() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    let undelivered = SmscReceipt::of(MessageState::Undeliverable).error_code("001");
    let behaviour = SmscBehaviour::default()
        .with_receipts(delivered())
        .with_suffix("02", SmscRule::from(SmscMode::ACCEPT).with_receipts(vec![undelivered]))
        .with_suffix("03", SmscMode::refuse(Status(0x0B)))
        .with_suffix("04", SmscRule::from(SmscMode::ACCEPT).with_receipts(vec![delivered().remove(0).before_answer()]));
    smsc.set_behaviour(behaviour).expect("valid");
    let worker = fixture.worker(&config(), over_smpp(&smsc, "")).await;
    let requests =
        [("first", "+491511201"), ("second", "+491511202"), ("third", "+491511203"), ("fourth", "+491511204")];
    fixture.send(&requests.map(|(id, recipient)| express(id, recipient))).await;
    is_told(&fixture, "first", "delivered").await;
    is_told(&fixture, "second", "undelivered").await;
    eventually("the third to fail", async || fixture.sql.rows("third").await == ["failed a"]).await;
    // Its receipt came before its answer: whoever is later joins the two, or the relay's sweeper.
    eventually("the fourth to be done", async || fixture.sql.rows("fourth").await == ["done a"]).await;
    let parked = "SELECT COUNT(*) FROM receipts WHERE matched_row IS NULL";
    if fixture.sql.number(parked).await > 0 {
        worker.database.join_parked(None).await.expect("joins");
    }
    is_told(&fixture, "fourth", "delivered").await;
    assert_eq!(fixture.spent().await, 3 * PRICE, "a rejection is refunded, an undelivered message is not");
    assert_eq!(fixture.metrics.value(r#"receipts_total{operator="a",state="delivered"}"#), 2);
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn each_part_has_its_id_and_its_receipt() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    smsc.set_behaviour(SmscBehaviour::default().with_receipts(delivered())).expect("valid");
    let worker = fixture.worker(&config(), over_smpp(&smsc, "long=sar")).await;
    let mut long = express("long", "+491511201");
    long.payload.message.text = domain::MessageText::try_from("a".repeat(400)).expect("a text");
    fixture.send(&[long]).await;
    is_told(&fixture, "long", "delivered").await;
    let parts =
        "SELECT COUNT(*) FROM operator_messages WHERE parts = 3 AND part BETWEEN 1 AND 3 AND state = 'delivered'";
    assert_eq!(fixture.sql.number(parts).await, 3);
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_receipt_is_answered_when_it_is_in_the_database_and_not_before() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    let later = SmscReceipt::of(MessageState::Delivered).after(Duration::from_millis(500));
    smsc.set_behaviour(SmscBehaviour::default().with_receipts(vec![later])).expect("valid");
    let worker = fixture.hasty_worker(&config(), over_smpp(&smsc, ""), Duration::from_millis(200)).await;
    fixture.send(&[express("first", "+491511201")]).await;
    eventually("the message to be done", async || fixture.sql.rows("first").await == ["done a"]).await;
    fixture.sql.lock().await;
    let refused =
        |entry: &operator_simulator::SmscEntry| matches!(entry.what, SmscEvent::DeliverSmResp { status: 0x64, .. });
    eventually("the SMSC to be asked to send it again", async || smsc.journal().iter().any(refused)).await;
    let taken =
        |entry: &operator_simulator::SmscEntry| matches!(entry.what, SmscEvent::DeliverSmResp { status: 0, .. });
    assert!(!smsc.journal().iter().any(taken), "nothing is stored");
    fixture.sql.unlock().await;
    is_told(&fixture, "first", "delivered").await;
    eventually("the receipt to be taken", async || smsc.journal().iter().any(taken)).await;
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_late_acceptance_settles_what_is_never_sent_again() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    smsc.set_behaviour(SmscMode::Accept { delay: Duration::from_secs(2) }).expect("valid");
    let worker = fixture.worker(&config(), over_smpp(&smsc, "timeout_ms=300&unknown=hold")).await;
    let request = express("late", "+491511201");
    fixture.send(std::slice::from_ref(&request)).await;
    fixture.metrics.reaches(r#"recipients_settled_total{result="deferred"}"#, 1).await;
    assert_eq!(fixture.sql.rows("late").await, ["sending"]);
    eventually("the late answer", async || fixture.sql.rows("late").await == ["done a"]).await;
    let ids = "SELECT COUNT(*) FROM operator_messages";
    assert_eq!((fixture.sql.number(ids).await, submits(&smsc), fixture.spent().await), (1, 1, PRICE));
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

/// With `unknown=hold` a message is sent but once, so what its SMSC says of it is so whenever it says it.
#[tokio::test]
async fn a_late_refusal_refunds_what_is_held_and_nothing_that_is_sent_again() {
    for (rule, expected, spent) in [("hold", "failed a", 0), ("resubmit", "sending", PRICE)] {
        let (fixture, smsc) = (Fixture::new().await, smsc());
        let late = SmscMode::Status { code: Status::SYSTEM_ERROR, delay: Duration::from_secs(1) };
        smsc.set_behaviour(late).expect("valid");
        let worker = fixture.worker(&config(), over_smpp(&smsc, &format!("timeout_ms=300&unknown={rule}"))).await;
        fixture.send(&[express("refused", "+491511201")]).await;
        fixture.metrics.reaches(r#"recipients_settled_total{result="deferred"}"#, 1).await;
        fixture.metrics.reaches(r#"smpp_responses_total{operator="a",status="ESME_RSYSERR"}"#, 1).await;
        worker.stop().await;
        assert_eq!((fixture.sql.rows("refused").await, fixture.spent().await), (vec![expected.to_owned()], spent));
        smsc.stop().await;
        fixture.remove().await;
    }
}

/// Late answers are said but once: they wait for the database however long it is away.
#[tokio::test]
async fn a_late_acceptance_waits_for_the_database() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    // Long enough for the lock to be there before it.
    smsc.set_behaviour(SmscMode::Accept { delay: Duration::from_secs(8) }).expect("valid");
    let parameters = "timeout_ms=300&unknown=hold";
    let worker = fixture.hasty_worker(&config(), over_smpp(&smsc, parameters), Duration::from_millis(200)).await;
    fixture.send(&[express("late", "+491511201")]).await;
    fixture.metrics.reaches(r#"recipients_settled_total{result="deferred"}"#, 1).await;
    fixture.sql.lock().await;
    let answered = r#"smpp_late_answers_total{operator="a"}"#;
    fixture.metrics.reaches(answered, 1).await;
    // Longer than a receipt is tried for.
    let failed = r#"db_queries_total{query="settle_late",result="error"}"#;
    fixture.metrics.reaches(failed, 5).await;
    fixture.sql.unlock().await;
    eventually("the late answer", async || fixture.sql.rows("late").await == ["done a"]).await;
    assert_eq!(submits(&smsc), 1);
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

/// What waits for a session in a worker's hands fails when its time is over, and is not kept from its money until there is one.
#[tokio::test]
async fn what_waits_in_hand_for_a_session_is_refunded_when_its_time_is_over() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    let valid =
        delivery_worker::WorkerConfig { validity: PerLane::from_fn(|_| Some(Duration::from_secs(4))), ..config() };
    let worker = fixture.worker(&valid, over_smpp(&smsc, "timeout_ms=60000")).await;
    fixture.send(&[message("before", &["+491511201"])]).await;
    fixture.answered("ok", 1).await;
    goes_away(&fixture, smsc).await;
    // Its identifier is a little older than its row, as those of the API are.
    let waits = Uuid::now_v7().to_string();
    fixture.send(&[message(&waits, &["+491511201"])]).await;
    eventually("its end", async || fixture.sql.rows(&waits).await == ["failed"]).await;
    assert_eq!(fixture.spent().await, PRICE);
    worker.stop().await;
    fixture.remove().await;
}

/// The same of what an SMSC may have: nobody knows, and nothing is given back.
#[tokio::test]
async fn what_an_smsc_may_have_is_not_refunded_for_want_of_a_session() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    smsc.set_behaviour(SmscMode::Cut).expect("valid");
    let valid =
        delivery_worker::WorkerConfig { validity: PerLane::from_fn(|_| Some(Duration::from_secs(10))), ..config() };
    let worker = fixture.worker(&valid, over_smpp(&smsc, "timeout_ms=60000")).await;
    let request = express(&Uuid::now_v7().to_string(), "+491511201");
    let id = request.payload.message.message_identifier.to_string();
    fixture.send(std::slice::from_ref(&request)).await;
    fixture.metrics.reaches(r#"recipients_settled_total{result="deferred"}"#, 1).await;
    // In hand again when there is no session.
    goes_away(&fixture, smsc).await;
    fixture.publish(std::slice::from_ref(&request)).await;
    is_told(&fixture, &id, "unknown").await;
    assert_eq!((fixture.sql.rows(&id).await, fixture.spent().await), (vec!["done".to_owned()], PRICE));
    worker.stop().await;
    fixture.remove().await;
}

/// RabbitMQ takes back what is in hand for too long.
#[tokio::test]
async fn what_waits_for_a_session_for_long_is_put_off_as_it_is() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    let hasty = delivery_worker::WorkerConfig { in_hand: Duration::from_secs(2), ..config() };
    let worker = fixture.worker(&hasty, over_smpp(&smsc, "timeout_ms=60000")).await;
    fixture.send(&[message("before", &["+491511201"])]).await;
    fixture.answered("ok", 1).await;
    goes_away(&fixture, smsc).await;
    fixture.send(&[message("waits", &["+491511201", "+491511202"])]).await;
    fixture.answered("ok", 2).await;
    assert_eq!(fixture.sql.rows("waits").await, ["pending", "pending"]);
    let waiting = "SELECT COUNT(*) FROM outbox_events WHERE aggregate_id = 'waits' AND status = 'pending'";
    assert_eq!((fixture.sql.number(waiting).await, fixture.spent().await), (1, 3 * PRICE));
    worker.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_is_held_and_never_heard_of_is_done_with_its_validity_and_not_refunded() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    smsc.set_behaviour(SmscMode::Silent).expect("valid");
    let valid =
        delivery_worker::WorkerConfig { validity: PerLane::from_fn(|_| Some(Duration::from_mins(1))), ..config() };
    let worker = fixture.worker(&valid, over_smpp(&smsc, "timeout_ms=300&unknown=hold")).await;
    let request = express("held", "+491511201");
    fixture.send(std::slice::from_ref(&request)).await;
    let deferred = r#"recipients_settled_total{result="deferred"}"#;
    fixture.metrics.reaches(deferred, 1).await;
    // The outbox brings it back, within its time and after it.
    fixture.publish(std::slice::from_ref(&request)).await;
    fixture.metrics.reaches(deferred, 2).await;
    assert_eq!(fixture.sql.rows("held").await, ["sending"]);
    fixture.sql.age("held", 61).await;
    fixture.publish(&[request]).await;
    is_told(&fixture, "held", "unknown").await;
    assert_eq!((submits(&smsc), fixture.spent().await), (1, PRICE));
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn without_a_session_anywhere_messages_stay_in_the_queue() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    let address = smsc.address();
    let worker = fixture.worker(&config(), over_smpp(&smsc, "timeout_ms=400")).await;
    fixture.send(&[message("before", &["+491511201"])]).await;
    fixture.answered("ok", 1).await;
    smsc.stop().await;
    // Those in hand wait for a session; once there has been none for a while the others are left in the queue.
    let mut sent = 0;
    eventually("messages that stay in the queue", async || {
        fixture.send(&[message(&format!("m{sent}"), &["+491511201"])]).await;
        sent += 1;
        fixture.waiting() >= 5
    })
    .await;
    assert_eq!(fixture.spent().await, (1 + sent) * PRICE, "nothing fails for want of a session");
    let again =
        Smsc::start(address, SmscOptions { first_id: 1_000, ..SmscOptions::default() }).expect("the port is free");
    fixture.answered("ok", 1 + sent).await;
    assert_eq!(submits(&again), usize::try_from(sent).expect("a few"));
    worker.stop().await;
    again.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn throttling_and_a_slow_pace_fail_nothing_and_put_nothing_off() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    smsc.set_behaviour(SmscRule::from(SmscMode::THROTTLE).times(1)).expect("valid");
    let mut slow = over_smpp(&smsc, "tps=20&window=2&timeout_ms=8000");
    slow.max_retries = 2;
    slow.breaker.failure_threshold = 1;
    let worker = fixture.worker(&config(), slow).await;
    let requests: Vec<_> = (0..60).map(|number| message(&format!("m{number}"), &["+491511201"])).collect();
    fixture.send(&requests).await;
    fixture.answered("ok", 60).await;
    assert_eq!(fixture.metrics.value(r#"recipients_settled_total{result="done"}"#), 60);
    assert_eq!(fixture.metrics.value(r#"recipients_settled_total{result="deferred"}"#), 0);
    let stats = smsc.stats();
    assert!(stats.throttled == 0 && stats.max_per_second <= 30 && stats.max_window <= 2, "{stats:?}");
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

/// A message to many at a slow account: it is given back after its time, and goes on where it was.
#[tokio::test]
async fn a_message_to_many_takes_its_time_in_turns() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    let hasty = delivery_worker::WorkerConfig { in_hand: Duration::from_secs(1), ..config() };
    let worker = fixture.worker(&hasty, over_smpp(&smsc, "tps=5&window=1&timeout_ms=4000")).await;
    let numbers: Vec<_> = (0..20).map(|number| format!("+4915112{number:02}")).collect();
    let request = message("many", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    fixture.send(std::slice::from_ref(&request)).await;
    fixture.answered("ok", 1).await;
    let waiting = "SELECT COUNT(*) FROM message_status WHERE status = 'pending'";
    let mut left = fixture.sql.number(waiting).await;
    assert!((1..20).contains(&left), "{left} of 20 wait after a second");
    let mut turns = 1;
    while left > 0 {
        fixture.publish(std::slice::from_ref(&request)).await;
        turns += 1;
        fixture.answered("ok", turns).await;
        let still = fixture.sql.number(waiting).await;
        assert!(still < left, "each turn sends some: {still} of {left}");
        left = still;
    }
    assert_eq!((submits(&smsc), fixture.spent().await), (20, 20 * PRICE));
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn what_an_smsc_may_have_is_not_sent_again_while_the_outbox_cannot_bring_it_back() {
    let (fixture, smsc) = (Fixture::with_queues_of(1).await, smsc());
    smsc.set_behaviour(SmscMode::Silent).expect("valid");
    let worker = fixture.worker(&config(), over_smpp(&smsc, "timeout_ms=200")).await;
    let request = message("m1", &["+491511201"]);
    fixture.accept(std::slice::from_ref(&request)).await;
    // The relay has published it, and has yet to record that.
    fixture.sql.execute("UPDATE outbox_events SET status = 'processing'").await;
    fixture.publish(&[request]).await;
    fixture.metrics.reaches_queries("defer", "ok", 3).await;
    fixture.sql.execute("UPDATE outbox_events SET status = 'processed'").await;
    fixture.answered("ok", 1).await;
    assert!(fixture.sql.event("m1").await.1.is_some(), "it waits in the outbox");
    assert_eq!((fixture.sql.rows("m1").await, submits(&smsc)), (vec!["sending".to_owned()], 1));
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}

#[tokio::test]
async fn without_a_validity_an_express_message_waits_two_minutes_for_room_and_a_normal_one_longer() {
    let (fixture, smsc) = (Fixture::new().await, smsc());
    smsc.set_behaviour(SmscMode::refuse(Status::THROTTLED)).expect("valid");
    let worker = fixture.worker(&config(), over_smpp(&smsc, "timeout_ms=500")).await;
    let (now, _) = Uuid::now_v7().get_timestamp().expect("it has one").to_unix();
    let id = |seconds| Uuid::new_v7(Timestamp::from_unix(NoContext, now - seconds, 0)).to_string();
    let (young, old, normal) = (id(60), id(130), id(130));
    let requests = [express(&young, "+491511201"), express(&old, "+491511202"), message(&normal, &["+491511203"])];
    fixture.send(&requests).await;
    eventually("the old one to fail", async || fixture.sql.rows(&old).await == ["failed"]).await;
    for waiting in [young, normal] {
        eventually("it to wait in the outbox", async || fixture.sql.event(&waiting).await.1.is_some()).await;
        assert_eq!(fixture.sql.rows(&waiting).await, ["pending"]);
    }
    assert_eq!(fixture.spent().await, 2 * PRICE);
    worker.stop().await;
    smsc.stop().await;
    fixture.remove().await;
}
