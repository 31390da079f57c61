//! What workers do to messages.

use std::time::Duration;

use domain::Lane;
use persistence::{ClaimToken, ClaimedRecipient, Deferred, Outcome, Settlement, StateWrite, StateWritten};

use crate::support::{Fixture, LEASE, begin_request, maybe_taken, message_id, request};

fn done() -> Outcome {
    Outcome::Done { provider: "operatorA".to_owned() }
}

fn failed() -> Outcome {
    Outcome::Failed { provider: String::new() }
}

async fn accepted(f: &Fixture, recipients: &[&str]) -> persistence::AcceptRequest {
    f.fund(1, 100).await;
    let sent = request(1, recipients);
    f.accept_one(sent.clone()).await;
    sent
}

pub(crate) async fn a_message_goes_from_pending_to_done(f: &Fixture) {
    let sent = accepted(f, &["111"]).await;
    let claimed = f.begin(&sent).await;
    assert_eq!(claimed[0].resumed, None);
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 sending "]);
    assert_eq!(f.db.settle(&[Settlement::new(&claimed[0], done())]).await.expect("settles"), [true]);
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 done operatorA"]);
    assert_eq!(f.balance(1).await, 99);
}

pub(crate) async fn each_write_of_a_mixed_batch_has_its_own_answer(f: &Fixture) {
    let (ended, lapsed, waiting, unknown) = (
        accepted(f, &["111", "222"]).await,
        accepted(f, &["333"]).await,
        accepted(f, &["444"]).await,
        accepted(f, &["555"]).await,
    );
    let stale = f.begin(&lapsed).await;
    f.expire_leases().await;
    f.begin(&lapsed).await;
    let (ours, put_off) = (f.begin(&ended).await, f.begin(&unknown).await);
    let settle = |claim: &ClaimedRecipient, outcome| Settlement::new(claim, outcome);
    let writes = [
        StateWrite::Begin(begin_request(&lapsed)),
        StateWrite::Settle(vec![settle(&ours[0], failed()), settle(&stale[0], failed()), settle(&ours[1], done())]),
        StateWrite::Defer(message_id(&unknown).clone(), maybe_taken(&put_off, LEASE)),
        StateWrite::Settle(vec![settle(&stale[0], done())]),
        StateWrite::Begin(begin_request(&waiting)),
    ];
    let written = f.db.write_states(&writes, LEASE).await.expect("writes");
    let [
        StateWritten::Begun(held),
        StateWritten::Settled(first),
        StateWritten::Deferred(deferred),
        StateWritten::Settled(second),
        StateWritten::Begun(taken),
    ] = &written[..]
    else {
        panic!("{written:?}")
    };
    assert!(held.claimed.is_empty() && held.busy.is_some(), "{held:?}");
    assert_eq!((&first[..], &second[..]), (&[true, false, true][..], &[false][..]));
    // Its event waits to be published, and so the message comes again.
    assert_eq!(*deferred, Deferred::Scheduled);
    assert_eq!(taken.claimed.len(), 1, "{taken:?}");
    assert_eq!(f.statuses(message_id(&ended)).await, ["111 failed ", "222 done operatorA"]);
    assert_eq!(f.statuses(message_id(&lapsed)).await, ["333 sending "]);
    f.assert_conserved().await;
}

pub(crate) async fn failed_recipients_alone_are_refunded(f: &Fixture) {
    let sent = accepted(f, &["111", "222", "333"]).await;
    let claimed = f.begin(&sent).await;
    let outcomes: Vec<_> =
        claimed.iter().zip([done(), failed(), failed()]).map(|(one, outcome)| Settlement::new(one, outcome)).collect();
    f.db.settle(&outcomes).await.expect("settles");
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 done operatorA", "222 failed ", "333 failed "]);
    assert_eq!(f.balance(1).await, 99);
    let refunds = f
        .strings(
            "SELECT CONCAT(r.recipient, ' ', r.amount) FROM user_transactions r
             JOIN user_transactions c ON c.transaction_id = r.refund_of
             WHERE r.transaction_type = 'corrective' AND c.transaction_type = 'withdrawal' ORDER BY r.recipient",
        )
        .await;
    assert_eq!(refunds, ["222 1", "333 1"]);
    f.assert_conserved().await;
}

pub(crate) async fn a_finished_message_is_left_alone(f: &Fixture) {
    let sent = accepted(f, &["111", "222"]).await;
    let claimed = f.begin(&sent).await;
    let outcomes = [Settlement::new(&claimed[0], done()), Settlement::new(&claimed[1], failed())];
    f.db.settle(&outcomes).await.expect("settles");
    let again = f.db.begin_sending(&[begin_request(&sent)], LEASE).await.expect("begins").remove(0);
    assert_eq!((again.claimed.len(), again.finished, again.busy), (0, 2, None));
    assert_eq!(f.db.settle(&outcomes).await.expect("answers"), [false, false]);
    assert_eq!(f.balance(1).await, 99);
}

pub(crate) async fn a_leased_message_is_busy(f: &Fixture) {
    let sent = accepted(f, &["111"]).await;
    f.begin(&sent).await;
    let other = f.db.begin_sending(&[begin_request(&sent)], LEASE).await.expect("begins").remove(0);
    assert!(other.claimed.is_empty());
    let left = other.busy.expect("somebody holds it");
    assert!(left <= LEASE && left > LEASE / 2, "{left:?}");
}

pub(crate) async fn an_expired_lease_is_taken_over_and_the_stale_worker_ignored(f: &Fixture) {
    let sent = accepted(f, &["111"]).await;
    let stale = f.begin(&sent).await;
    f.expire_leases().await;
    let owner = f.begin(&sent).await;
    assert!(owner[0].resumed.is_some_and(|resumed| resumed.age < Duration::from_mins(1)));
    assert_eq!(f.db.settle(&[Settlement::new(&stale[0], failed())]).await.expect("answers"), [false]);
    assert_eq!(f.db.settle(&[Settlement::new(&owner[0], done())]).await.expect("settles"), [true]);
    assert_eq!(f.balance(1).await, 99, "the stale failure refunded nothing");
}

pub(crate) async fn a_stale_failure_beside_the_owners_takes_nothing_from_it(f: &Fixture) {
    let sent = accepted(f, &["111"]).await;
    let stale = f.begin(&sent).await;
    f.expire_leases().await;
    let owner = f.begin(&sent).await;
    let both = [Settlement::new(&stale[0], failed()), Settlement::new(&owner[0], failed())];
    assert_eq!(f.db.settle(&both).await.expect("settles"), [false, true]);
    assert_eq!(f.balance(1).await, 100, "refunded once");
    f.assert_conserved().await;
}

pub(crate) async fn one_message_twice_in_a_batch_is_taken_once(f: &Fixture) {
    let sent = accepted(f, &["111"]).await;
    let begins = f.db.begin_sending(&[begin_request(&sent), begin_request(&sent)], LEASE).await.expect("begins");
    assert_eq!((begins[0].claimed.len(), begins[1].claimed.len()), (1, 0));
    assert!(begins[1].busy.is_some());
}

pub(crate) async fn unknown_messages_are_not_sent(f: &Fixture) {
    let begin = f.db.begin_sending(&[begin_request(&request(1, &["111", "222"]))], LEASE).await.expect("begins");
    assert_eq!((begin[0].claimed.len(), begin[0].unknown), (0, 2));
}

async fn publish_all(f: &Fixture) {
    let token = ClaimToken::unique();
    let events = f.db.claim_events(Lane::Normal, 100, LEASE, &token).await.expect("claims");
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    f.db.mark_processed(&ids, &token).await.expect("records");
}

pub(crate) async fn a_deferred_message_is_published_again(f: &Fixture) {
    let sent = accepted(f, &["111", "222"]).await;
    publish_all(f).await;
    let claimed = f.begin(&sent).await;
    f.db.settle(&[Settlement::new(&claimed[0], done())]).await.expect("settles");
    let deferred =
        f.db.defer(message_id(&sent), maybe_taken(&claimed[1..], Duration::from_mins(1))).await.expect("defers");
    assert_eq!(deferred, Deferred::Scheduled);
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 done operatorA", "222 sending "]);
    f.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.db.promote_due_events().await.expect("promotes"), 1);
    let again = f.db.begin_sending(&[begin_request(&sent)], LEASE).await.expect("begins").remove(0);
    assert_eq!((again.claimed.len(), again.finished), (1, 1));
    assert!(again.claimed[0].resumed.is_some());
}

pub(crate) async fn deferring_needs_a_recorded_publish(f: &Fixture) {
    let sent = accepted(f, &["111", "222"]).await;
    let claimed = f.begin(&sent).await;
    let token = ClaimToken::unique();
    let event = f.db.claim_events(Lane::Normal, 1, LEASE, &token).await.expect("claims").remove(0);
    let defer = async |part: &[persistence::ClaimedRecipient]| {
        f.db.defer(message_id(&sent), maybe_taken(part, Duration::from_mins(1))).await.expect("answers")
    };
    assert_eq!(defer(&claimed[..1]).await, Deferred::NotYet, "the relay has not recorded it yet");
    f.db.mark_processed(&[event.id], &token).await.expect("records");
    assert_eq!(defer(&claimed[..1]).await, Deferred::Scheduled);
    assert_eq!(defer(&claimed[1..]).await, Deferred::Scheduled, "another part has scheduled it already");
}

/// What waits for long is not kept waiting with what waits for longer.
pub(crate) async fn of_two_pauses_the_shorter_counts(f: &Fixture) {
    let sent = accepted(f, &["111", "222"]).await;
    publish_all(f).await;
    let claimed = f.begin(&sent).await;
    let defer = async |part: &[persistence::ClaimedRecipient], pause| {
        f.db.defer(message_id(&sent), maybe_taken(part, pause)).await.expect("answers")
    };
    let due = async || f.db.promote_due_events().await.expect("promotes");
    assert_eq!(defer(&claimed[..1], Duration::from_hours(1)).await, Deferred::Scheduled);
    assert_eq!(due().await, 0);
    assert_eq!(defer(&claimed[1..], Duration::ZERO).await, Deferred::Scheduled);
    assert_eq!(due().await, 1);
    assert_eq!(defer(&[], Duration::from_hours(1)).await, Deferred::Scheduled);
    assert_eq!(
        f.number("SELECT COUNT(*) FROM outbox_events WHERE next_run_at IS NOT NULL").await,
        0,
        "it is due already"
    );
}

pub(crate) async fn what_is_over_is_told_apart(f: &Fixture) {
    let sent = accepted(f, &["111", "222", "333"]).await;
    let claimed = f.begin(&sent).await;
    assert!(f.db.finished_recipients(message_id(&sent)).await.expect("reads").is_empty());
    let ends = [Settlement::new(&claimed[0], done()), Settlement::new(&claimed[1], failed())];
    f.db.settle(&ends).await.expect("settles");
    let mut over: Vec<_> = f.db.finished_recipients(message_id(&sent)).await.expect("reads").into_iter().collect();
    over.sort();
    assert_eq!(over, ["111", "222"]);
}

/// A row in a state that this program never writes is left alone and harms no other.
pub(crate) async fn odd_rows_harm_no_other(f: &Fixture) {
    let sent = accepted(f, &["111", "222"]).await;
    f.execute("UPDATE message_status SET status = 'odd' WHERE recipient = '111'").await;
    let begin = f.db.begin_sending(&[begin_request(&sent)], LEASE).await.expect("begins").remove(0);
    assert_eq!((begin.claimed.len(), begin.finished), (1, 1));
    assert_eq!(begin.claimed[0].recipient.as_str(), "222");
}

/// Somebody sets a refunded row back by hand: it may be sent again, it is not refunded again.
pub(crate) async fn a_refund_survives_a_reset_row(f: &Fixture) {
    let sent = accepted(f, &["111"]).await;
    for _ in 0..2 {
        let claimed = f.begin(&sent).await;
        assert_eq!(f.db.settle(&[Settlement::new(&claimed[0], failed())]).await.expect("settles"), [true]);
        f.execute("UPDATE message_status SET status = 'pending'").await;
    }
    assert_eq!(f.balance(1).await, 100);
    assert_eq!(f.number("SELECT COUNT(*) FROM user_transactions WHERE transaction_type = 'corrective'").await, 1);
}

pub(crate) async fn settling_reports_each_outcome_by_itself(f: &Fixture) {
    let first = accepted(f, &["111"]).await;
    let second = accepted(f, &["222"]).await;
    let stale = f.begin(&first).await;
    f.expire_leases().await;
    f.begin(&first).await;
    let ours = f.begin(&second).await;
    let outcomes = [Settlement::new(&stale[0], done()), Settlement::new(&ours[0], done())];
    assert_eq!(f.db.settle(&outcomes).await.expect("settles"), [false, true]);
}
