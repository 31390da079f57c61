//! Claims, leases, retries and giving up.

use std::{collections::HashSet, time::Duration};

use domain::{
    Lane,
    MessageType::{Express, Normal},
    OutboxPayload, Turn,
};
use persistence::{ClaimToken, ClaimedEvent, EventContent, Search};

use crate::support::{Fixture, LEASE, message_id, message_of, request, typed_request, with_key};

/// How long an event of an unknown kind waits.
const PUT_OFF: Duration = Duration::from_mins(1);

async fn claim(f: &Fixture, lane: Lane, token: &ClaimToken) -> Vec<ClaimedEvent> {
    f.db.claim_events(lane, 100, LEASE, token).await.expect("claims")
}

async fn accept_and_claim(f: &Fixture, token: &ClaimToken) -> (persistence::AcceptRequest, ClaimedEvent) {
    f.fund(1, 100).await;
    let sent = request(1, &["111", "222"]);
    f.accept_one(sent.clone()).await;
    let event = claim(f, Lane::Normal, token).await.remove(0);
    (sent, event)
}

async fn status(f: &Fixture) -> Vec<String> {
    f.strings("SELECT status FROM outbox_events ORDER BY id").await
}

pub(crate) async fn events_are_claimed_in_order_by_lane(f: &Fixture) {
    f.fund(1, 100).await;
    let sent: Vec<_> =
        [Normal, Express, Normal, Express].map(|kind| typed_request(1, &["111"], kind, "hi")).into_iter().collect();
    f.db.accept(&sent).await.expect("accepts");
    let token = ClaimToken::unique();
    let express = claim(f, Lane::Express, &token).await;
    let ids: Vec<_> = express.iter().map(|event| event.message_id.as_str()).collect();
    assert_eq!(ids, [message_id(&sent[1]).as_str(), message_id(&sent[3]).as_str()]);
    let OutboxPayload { exchange, routing_key, message, .. } = &sent[1].payload;
    assert_eq!(message_of(&express[0]), (exchange.as_str(), routing_key.as_str(), message.clone()));
    let normal = f.db.claim_events(Lane::Normal, 1, LEASE, &token).await.expect("claims");
    assert_eq!(normal[0].message_id, message_id(&sent[0]).as_str());
    assert_eq!(status(f).await, ["processing", "processing", "pending", "processing"]);
    let all: Vec<_> = normal.iter().chain(&express).map(|event| event.id).collect();
    assert_eq!(f.db.mark_processed(&all, &token).await.expect("records"), 3);
    assert_eq!(status(f).await, ["processed", "processed", "pending", "processed"]);
}

pub(crate) async fn claimers_never_share_an_event(f: &Fixture) {
    f.fund(1, 1000).await;
    let sent: Vec<_> = (0..200).map(|_| request(1, &["111"])).collect();
    f.db.accept(&sent).await.expect("accepts");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let db = f.db.clone();
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let events = db.claim_events(Lane::Normal, 7, LEASE, &ClaimToken::unique()).await.expect("claims");
                if events.is_empty() {
                    return mine;
                }
                mine.extend(events.into_iter().map(|event| event.id));
            }
        });
    }
    let claimed: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!((claimed.len(), claimed.iter().collect::<HashSet<_>>().len()), (200, 200));
}

pub(crate) async fn a_stale_claimer_changes_nothing(f: &Fixture) {
    let (old, new) = (ClaimToken::unique(), ClaimToken::unique());
    let (_, event) = accept_and_claim(f, &old).await;
    f.expire_leases().await;
    assert_eq!(f.db.rescue_expired_claims().await.expect("rescues"), 1);
    assert_eq!(claim(f, Lane::Normal, &new).await.len(), 1);
    assert_eq!(f.db.mark_processed(&[event.id], &old).await.expect("answers"), 0);
    assert_eq!(f.db.release_events(&[event.id], &old).await.expect("answers"), 0);
    assert_eq!(f.db.retry_event_later(event.id, &old, LEASE, "late").await.expect("answers"), 0);
    assert_eq!(f.db.fail_event(event.id, &old, "late").await.expect("answers"), None);
    assert_eq!(status(f).await, ["processing"]);
    assert_eq!(f.db.mark_processed(&[event.id], &new).await.expect("records"), 1);
    assert_eq!(f.db.mark_processed(&[event.id], &new).await.expect("answers"), 0);
}

pub(crate) async fn expired_claims_are_rescued(f: &Fixture) {
    accept_and_claim(f, &ClaimToken::unique()).await;
    assert_eq!(f.db.rescue_expired_claims().await.expect("answers"), 0);
    f.expire_leases().await;
    assert_eq!(f.db.rescue_expired_claims().await.expect("rescues"), 1);
    let again = claim(f, Lane::Normal, &ClaimToken::unique()).await;
    assert_eq!((again.len(), again[0].attempts), (1, 0));
    // As the reference leaves them when it is killed: claimed, without a lease.
    f.execute("UPDATE outbox_events SET claimed_by = NULL, claimed_until = NULL").await;
    assert_eq!(f.db.rescue_expired_claims().await.expect("rescues"), 1);
}

pub(crate) async fn released_events_cost_no_try(f: &Fixture) {
    let token = ClaimToken::unique();
    let (_, event) = accept_and_claim(f, &token).await;
    assert_eq!(f.db.release_events(&[event.id], &token).await.expect("releases"), 1);
    let again = claim(f, Lane::Normal, &token).await;
    assert_eq!((again.len(), again[0].attempts), (1, 0));
}

pub(crate) async fn put_off_events_wait_and_come_back(f: &Fixture) {
    let token = ClaimToken::unique();
    let (_, event) = accept_and_claim(f, &token).await;
    let hour = Duration::from_hours(1);
    assert_eq!(f.db.retry_event_later(event.id, &token, hour, "no route").await.expect("puts off"), 1);
    assert_eq!(f.db.promote_due_events().await.expect("answers"), 0);
    assert!(claim(f, Lane::Normal, &token).await.is_empty());
    assert_eq!(f.strings("SELECT last_error FROM outbox_events").await, ["no route"]);
    f.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.db.promote_due_events().await.expect("promotes"), 1);
    assert_eq!(claim(f, Lane::Normal, &token).await[0].attempts, 1);
}

pub(crate) async fn a_hand_made_row_is_claimed_as_unreadable(f: &Fixture) {
    f.execute(
        "INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, priority, status)
         VALUES ('message', 'manual-backpressure-1', 'message.send', JSON_OBJECT(), 0, 'pending')",
    )
    .await;
    let events = claim(f, Lane::Normal, &ClaimToken::unique()).await;
    assert_eq!(events[0].message_id, "manual-backpressure-1");
    assert!(matches!(events[0].content, EventContent::Unreadable(_)), "{:?}", events[0]);
}

pub(crate) async fn an_event_of_an_unknown_kind_is_neither_given_up_nor_counted(f: &Fixture) {
    let token = ClaimToken::unique();
    f.fund(1, 100).await;
    let mut sent = request(1, &["111", "222"]);
    sent.turn = Turn::from_stored(7);
    f.accept_one(sent.clone()).await;
    f.execute("UPDATE outbox_events SET event_type = 'message.cancel'").await;
    let event = claim(f, Lane::Normal, &token).await.remove(0);
    assert!(matches!(&event.content, EventContent::UnknownKind(kind) if kind == "message.cancel"), "{event:?}");

    assert_eq!(f.db.fail_event(event.id, &token, "unknown").await.expect("answers"), None);
    assert_eq!(f.db.put_off_unknown(&[event.id], &ClaimToken::unique(), PUT_OFF).await.expect("answers"), 0);
    assert_eq!(f.db.put_off_unknown(&[event.id], &token, PUT_OFF).await.expect("puts off"), 1);
    let waits = async || {
        assert_eq!(f.strings("SELECT CONCAT(status, ' ', attempts) FROM outbox_events").await, ["pending 0"]);
        assert_eq!(f.number("SELECT COUNT(*) FROM outbox_events WHERE next_run_at IS NOT NULL").await, 1);
        assert_eq!(f.db.pending_events(Lane::Normal, 10).await.expect("counts"), 0);
        assert!(claim(f, Lane::Normal, &token).await.is_empty());
    };
    waits().await;
    assert_eq!(promote(f).await, (0, vec![]), "its time has not come");
    for _ in 0..2 {
        f.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00'").await;
        assert_eq!(promote(f).await, (0, vec!["message.cancel".to_owned()]));
        waits().await;
        assert_eq!(promote(f).await, (0, vec![]), "it was put off again");
    }
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 pending ", "222 pending "]);
    assert_eq!(f.balance(1).await, 98);

    // A release that knows the kind finds it where it stood.
    f.execute("UPDATE outbox_events SET event_type = 'message.send', next_run_at = '2020-01-01 00:00:00'").await;
    assert_eq!(promote(f).await, (1, vec![]));
    assert_eq!(f.db.turn_of(Lane::Normal).await.expect("looks"), Some(Turn::from_stored(7)));
    assert_eq!(claim(f, Lane::Normal, &token).await[0].message_id, message_id(&sent).as_str());
    f.assert_conserved().await;
}

async fn promote(f: &Fixture) -> (u64, Vec<String>) {
    assert_eq!(f.db.promote_due_events().await.expect("promotes"), 0, "it is out of line");
    let promoted = f.db.promote_out_of_line(PUT_OFF).await.expect("promotes");
    (promoted.claimable, promoted.unknown_kinds)
}

pub(crate) async fn a_given_up_event_fails_and_refunds_its_message_once(f: &Fixture) {
    let token = ClaimToken::unique();
    let (sent, event) = accept_and_claim(f, &token).await;
    assert_eq!(f.balance(1).await, 98);
    assert_eq!(f.db.fail_event(event.id, &token, "unreadable").await.expect("gives up"), Some(2));
    assert_eq!(f.db.fail_event(event.id, &token, "unreadable").await.expect("answers"), None);
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 failed ", "222 failed "]);
    assert_eq!(f.balance(1).await, 100);
    assert_eq!(
        f.strings("SELECT CONCAT(status, ' ', attempts, ' ', last_error) FROM outbox_events").await,
        ["failed 1 unreadable"]
    );
    f.assert_conserved().await;
}

pub(crate) async fn giving_up_spares_what_a_worker_holds(f: &Fixture) {
    let token = ClaimToken::unique();
    let (sent, event) = accept_and_claim(f, &token).await;
    f.begin(&sent).await;
    assert_eq!(f.db.fail_event(event.id, &token, "late").await.expect("gives up"), Some(0));
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 sending ", "222 sending "]);
    assert_eq!(f.balance(1).await, 98);
}

pub(crate) async fn old_events_and_keys_are_purged(f: &Fixture) {
    let token = ClaimToken::unique();
    let (sent, event) = accept_and_claim(f, &token).await;
    f.accept_one(with_key(request(1, &["111"]), "k", "a")).await;
    f.db.mark_processed(&[event.id], &token).await.expect("records");
    let age = Duration::from_hours(1);
    assert_eq!(f.db.purge_processed_events(age).await.expect("answers"), 0);
    f.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00' WHERE status = 'processed'").await;
    assert_eq!(f.db.purge_processed_events(age).await.expect("answers"), 0, "its message is not finished");
    let done = || persistence::Outcome::Done { provider: "operatorA".to_owned() };
    let outcomes: Vec<_> =
        f.begin(&sent).await.iter().map(|claimed| persistence::Settlement::new(claimed, done())).collect();
    f.db.settle(&outcomes).await.expect("settles");
    assert_eq!(f.db.purge_processed_events(age).await.expect("purges"), 1);
    assert_eq!(status(f).await, ["pending"], "what waits is never purged, however old");
    assert_eq!(f.db.purge_idempotency_keys().await.expect("answers"), 0);
    f.execute("UPDATE idempotency_keys SET created_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.db.purge_idempotency_keys().await.expect("purges"), 1);
}

pub(crate) async fn the_backlog_is_counted(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = [Normal, Express, Normal, Normal].map(|kind| typed_request(1, &["111"], kind, "hi"));
    f.db.accept(&sent).await.expect("accepts");
    let pending = async |lane, most| f.db.pending_events(lane, most).await.expect("counts");
    assert_eq!((pending(Lane::Normal, 100).await, pending(Lane::Express, 100).await), (3, 1));
    assert_eq!(pending(Lane::Normal, 2).await, 2);
    f.execute("UPDATE outbox_events SET created_at = '2020-01-01 00:00:00' WHERE priority = 0").await;
    assert!(f.db.oldest_waiting(Lane::Normal, 1_000).await.expect("looks") > Duration::from_hours(24 * 365));
    assert!(f.db.oldest_waiting(Lane::Express, 1_000).await.expect("looks") < Duration::from_hours(1));
    f.execute("UPDATE outbox_events SET next_run_at = '2999-01-01 00:00:00'").await;
    assert_eq!(pending(Lane::Normal, 100).await, 3, "what waits for a retry is pending too");
    assert_eq!(f.db.oldest_waiting(Lane::Normal, 1_000).await.expect("looks"), Duration::ZERO);
}

pub(crate) async fn events_are_claimed_by_turn(f: &Fixture) {
    f.fund(1, 100).await;
    let at = |turn: i64| persistence::AcceptRequest { turn: Turn::from_stored(turn), ..request(1, &["111"]) };
    let sent = [at(7), at(5), at(5), at(6)];
    f.db.accept(&sent).await.expect("accepts");
    f.execute(
        "INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, status)
         VALUES ('message', 'by-hand', 'message.send', JSON_OBJECT(), 'pending')",
    )
    .await;
    assert_eq!(f.db.turn_of(Lane::Normal).await.expect("looks"), Some(Turn::from_stored(5)));
    assert_eq!(f.db.turn_of(Lane::Express).await.expect("looks"), None);
    let claimed = f.db.claim_events(Lane::Normal, 4, LEASE, &ClaimToken::unique()).await.expect("claims");
    let mut ids: Vec<_> = claimed.iter().map(|event| event.message_id.as_str()).collect();
    ids.sort_unstable();
    let mut first =
        ["by-hand", message_id(&sent[1]).as_str(), message_id(&sent[2]).as_str(), message_id(&sent[3]).as_str()];
    first.sort_unstable();
    assert_eq!(ids, first);
    assert_eq!(f.db.turn_of(Lane::Normal).await.expect("looks"), Some(Turn::from_stored(7)));
}

pub(crate) async fn published_events_are_counted_for_a_while(f: &Fixture) {
    let token = ClaimToken::unique();
    let (_, event) = accept_and_claim(f, &token).await;
    let minute = Duration::from_mins(1);
    let published = async |lane| f.db.published_events(lane, minute, 10).await.expect("counts");
    assert_eq!(published(Lane::Normal).await, 0, "a claim is no publish");
    f.db.mark_processed(&[event.id], &token).await.expect("records");
    assert_eq!((published(Lane::Normal).await, published(Lane::Express).await), (1, 0));
    f.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00'").await;
    assert_eq!(published(Lane::Normal).await, 0);
}

pub(crate) async fn stuck_messages_are_published_again(f: &Fixture) {
    let token = ClaimToken::unique();
    let (_, event) = accept_and_claim(f, &token).await;
    let finished = request(1, &["333"]);
    f.accept_one(finished.clone()).await;
    let other = claim(f, Lane::Normal, &token).await.remove(0);
    f.db.mark_processed(&[event.id, other.id], &token).await.expect("records");
    let claimed = f.begin(&finished).await;
    let done = persistence::Outcome::Done { provider: "operatorA".to_owned() };
    f.db.settle(&[persistence::Settlement::new(&claimed[0], done)]).await.expect("settles");
    let age = Duration::from_mins(15);
    assert_eq!(f.db.republish_stuck(age).await.expect("answers").republished, 0, "they are not old yet");
    f.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.db.republish_stuck(age).await.expect("republishes").republished, 1);
    assert_eq!(status(f).await, ["pending", "processed"]);
    assert_eq!(f.db.republish_stuck(age).await.expect("answers").republished, 0);
}

/// More of one instant than a search looks at in one go, and more than one page: each is looked at, the last one too.
pub(crate) async fn the_search_for_stuck_messages_leaves_none_out(f: &Fixture) {
    let events = |from: usize| {
        let row = |n| format!("('message', 'm-{n}', 'message.send', '{{}}', 'processed', '2020-01-01 00:00:00.000')");
        let rows: Vec<_> = (from..from + 1_000).map(row).collect();
        let columns = "aggregate_type, aggregate_id, event_type, payload, status, next_run_at";
        format!("INSERT INTO outbox_events ({columns}) VALUES {}", rows.join(","))
    };
    for thousand in 0..22 {
        f.execute(&events(thousand * 1_000)).await;
    }
    let unfinished = "INSERT INTO message_status (user_id, status, type, recipient, message_identifier)
        VALUES (1, 'sending', 'normal', '111', 'm-21999'), (1, 'pending', 'normal', '111', 'm-1000')";
    f.execute(unfinished).await;
    let age = Duration::from_mins(15);
    let search = async || {
        let mut found = Vec::new();
        loop {
            let Search { republished, is_done } = f.db.republish_stuck(age).await.expect("searches");
            found.push(republished);
            if is_done {
                return found;
            }
        }
    };
    // In two goes, of which the second comes to the end, for it began with this instant.
    assert_eq!(search().await, [1, 1]);
    assert_eq!(search().await, [0]);

    // What a clock that was ahead wrote down keeps nothing back, and neither does a row that is gone.
    f.execute("UPDATE sweep_progress SET done_until = '2999-01-01 00:00:00.000'").await;
    assert_eq!(search().await, [0]);
    let ahead = f.number("SELECT COUNT(*) FROM sweep_progress WHERE done_until > '2998-01-01'").await;
    assert_eq!(ahead, 0, "it goes on from now");
    f.execute("DELETE FROM sweep_progress").await;
    f.execute("UPDATE outbox_events SET status = 'processed', next_run_at = '2020-01-01 00:00:00.000'").await;
    assert_eq!(search().await, [0]);
    assert_eq!(search().await, [1, 1]);
}
