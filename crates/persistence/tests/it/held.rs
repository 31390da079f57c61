//! Events held by the locks of an open transaction, as relays claim them on a server.

use std::time::Duration;

use domain::Lane;
use persistence::{ClaimToken, Deferred, Held, HeldOutcome, Outcome, Settlement};
use test_support::wait_until;

use crate::support::{Fixture, maybe_taken, message_id, request};

const MINUTE: Duration = Duration::from_mins(1);

async fn hold(f: &Fixture, limit: u64) -> Option<Held> {
    f.db.hold_events(Lane::Normal, limit).await.expect("claims")
}

async fn status(f: &Fixture) -> Vec<String> {
    f.strings("SELECT CONCAT(status, ' ', attempts, ' ', COALESCE(last_error, '')) FROM outbox_events ORDER BY id")
        .await
}

#[tokio::test]
async fn held_events_are_nobody_elses() {
    let f = Fixture::server().await;
    f.fund(1, 100).await;
    for _ in 0..3 {
        f.accept_one(request(1, &["111"])).await;
    }
    let (first, second) = (hold(&f, 1).await.expect("one"), hold(&f, 5).await.expect("the others"));
    assert_eq!((first.events().len(), second.events().len()), (1, 2));
    assert!(hold(&f, 5).await.is_none());
    assert!(f.db.claim_events(Lane::Normal, 5, MINUTE, &ClaimToken::unique()).await.expect("answers").is_empty());
    first.record(&f.db, &HeldOutcome::default()).await.expect("lets go");
    assert_eq!(hold(&f, 5).await.expect("what was let go").events().len(), 1);
    drop(second);
    f.remove().await;
}

/// Nothing here could go on if it waited for a lock: the locks stay until the end.
#[tokio::test]
async fn nobody_waits_for_held_events() {
    let f = Fixture::server().await;
    f.fund(1, 100).await;
    let sent = request(1, &["111", "222"]);
    f.accept_one(sent.clone()).await;
    let held = hold(&f, 5).await.expect("one");
    assert_eq!(held.events().len(), 1);

    // The broker had it before the relay could say so.
    let claimed = f.begin(&sent).await;
    let done = Outcome::Done { provider: "operatorA".to_owned() };
    assert_eq!(f.db.settle(&[Settlement::new(&claimed[0], done)]).await.expect("settles"), [true]);
    let deferred = f.db.defer(message_id(&sent), maybe_taken(&claimed[1..], MINUTE)).await.expect("answers");
    assert_eq!(deferred, Deferred::NotYet, "what is not recorded cannot be put off");

    f.accept_one(request(1, &["333"])).await;
    assert_eq!(f.db.pending_events(Lane::Normal, 10).await.expect("counts"), 2);
    assert_eq!(f.db.rescue_expired_claims().await.expect("answers"), 0);
    assert_eq!(f.db.promote_due_events().await.expect("answers"), 0);
    assert_eq!(f.db.republish_stuck(Duration::ZERO).await.expect("answers").republished, 0);
    assert_eq!(f.db.purge_processed_events(Duration::ZERO).await.expect("answers"), 0);

    let published = held.events().iter().map(|event| event.id).collect();
    held.record(&f.db, &HeldOutcome { published, ..HeldOutcome::default() }).await.expect("records");
    let deferred = f.db.defer(message_id(&sent), maybe_taken(&claimed[1..], MINUTE)).await.expect("answers");
    assert_eq!(deferred, Deferred::Scheduled);
    f.assert_conserved().await;
    f.remove().await;
}

#[tokio::test]
async fn each_held_event_is_recorded_by_what_became_of_it() {
    let f = Fixture::server().await;
    f.fund(1, 100).await;
    let sent: Vec<_> = (0..5).map(|_| request(1, &["111"])).collect();
    for request in &sent {
        f.accept_one(request.clone()).await;
    }
    let held = hold(&f, 10).await.expect("five");
    let ids: Vec<_> = held.events().iter().map(|event| event.id).collect();
    let token = ClaimToken::unique();
    let outcome = HeldOutcome {
        published: vec![ids[0]],
        later: vec![(ids[1], MINUTE, "no route".to_owned())],
        unknown: Some((vec![ids[2]], MINUTE)),
        to_give_up: Some((vec![ids[3]], token.clone(), MINUTE)),
    };
    held.record(&f.db, &outcome).await.expect("records");
    assert_eq!(
        status(&f).await,
        ["processed 0 ", "pending 1 no route", "pending 0 ", "processing 0 ", "pending 0 "],
        "the last one was let go"
    );
    assert_eq!(f.db.published_events(Lane::Normal, MINUTE, 10).await.expect("counts"), 1);
    assert_eq!(f.db.pending_events(Lane::Normal, 10).await.expect("counts"), 2, "one of an unknown kind is left out");
    let again = hold(&f, 10).await.expect("what was let go");
    assert_eq!(again.events().iter().map(|event| event.id).collect::<Vec<_>>(), [ids[4]]);

    assert_eq!(f.db.fail_event(ids[3], &token, "no route").await.expect("fails"), Some(1));
    assert_eq!(f.statuses(message_id(&sent[3])).await, ["111 failed "]);
    assert_eq!(f.balance(1).await, 96, "one of five is refunded");
    f.assert_conserved().await;
    drop(again);
    f.remove().await;
}

#[tokio::test]
async fn a_relay_that_dies_lets_go_at_once() {
    let f = Fixture::server().await;
    f.fund(1, 100).await;
    f.accept_one(request(1, &["111"])).await;
    drop(hold(&f, 5).await.expect("one"));
    // Long before the server ends a session that says nothing.
    let soon = Duration::from_secs(10);
    let again = wait_until(soon, "an event without a holder", async || hold(&f, 5).await).await;
    assert_eq!(again.events().len(), 1);
    drop(again);
    f.remove().await;
}

#[tokio::test]
async fn what_was_published_on_a_session_that_is_gone_goes_out_again() {
    let f = Fixture::server().await;
    f.fund(1, 100).await;
    f.accept_one(request(1, &["111"])).await;
    let held = hold(&f, 5).await.expect("one");
    let sessions = f.sessions().await;
    let session = f
        .number(&format!(
            "SELECT CAST(trx_mysql_thread_id AS SIGNED) FROM information_schema.innodb_trx t
             JOIN {sessions} AS session ON session.id = t.trx_mysql_thread_id WHERE session.db = DATABASE()"
        ))
        .await;
    f.execute(&format!("KILL {session}")).await;
    let published = held.events().iter().map(|event| event.id).collect();
    let error = held.record(&f.db, &HeldOutcome { published, ..HeldOutcome::default() }).await.expect_err("it is gone");
    assert!(error.is_unavailable(), "{error}");
    let again = wait_until(MINUTE, "an event without a holder", async || hold(&f, 5).await).await;
    assert_eq!(again.events().len(), 1);
    drop(again);
    f.remove().await;
}
