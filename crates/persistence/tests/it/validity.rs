//! Messages that have a time by which they must be sent, or from which on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Expiry, Lane, MessageStatus, Validity};
use persistence::{
    AcceptOutcome, AcceptRequest, BeginRequest, Cancel, Cancelled, ClaimToken, Deferral, Deferred, HistoryFilter,
    Outcome, Promotion, PutOff, Reader, Settlement,
};

use crate::support::{Fixture, LEASE, begin_request, customer, maybe_taken, message_id, request, with_key};

const MINUTE: Duration = Duration::from_mins(1);

#[expect(clippy::disallowed_methods, reason = "times that lie ahead are told by this clock")]
fn in_seconds(seconds: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::seconds(seconds)
}

fn until(sent: &AcceptRequest, expiry: Expiry) -> BeginRequest {
    BeginRequest { expiry: Some(expiry), ..begin_request(sent) }
}

/// To be sent then.
fn scheduled(user: i64, recipients: &[&str], seconds: i64) -> AcceptRequest {
    let mut scheduled = request(user, recipients);
    scheduled.payload.message.encoding = Some(domain::Encoding::Gsm7);
    AcceptRequest { send_at: Some(in_seconds(seconds)), segments: Some(domain::SegmentCount::ONE), ..scheduled }
}

impl Fixture {
    async fn publish_all(&self) {
        let token = ClaimToken::unique();
        let events = self.db.claim_events(Lane::Normal, 100, LEASE, &token).await.expect("claims");
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        self.db.mark_processed(&ids, &token).await.expect("records");
    }

    /// Lets the time of every scheduled message come.
    async fn let_time_come(&self) {
        self.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00' WHERE status = 'scheduled'").await;
    }

    /// How many recipients there are in each of these states: status, `error_code`.
    async fn count(&self, status: &str, error_code: &str) -> i64 {
        self.number(&format!(
            "SELECT COUNT(*) FROM message_status WHERE status = '{status}' AND COALESCE(error_code, '') = '{error_code}'"
        ))
        .await
    }
}

pub(crate) async fn what_no_operator_has_waits_for_a_first_round_again(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = request(1, &["111", "222", "333"]);
    f.accept_one(sent.clone()).await;
    f.publish_all().await;
    let claimed = f.begin(&sent).await;
    f.db.settle(&[Settlement::new(&claimed[0], Outcome::Done { provider: "operatorA".to_owned() })])
        .await
        .expect("settles");
    let deferral =
        Deferral { maybe_taken: claimed[1..2].to_vec(), untaken: claimed[2..].to_vec(), put_off: PutOff::by(MINUTE) };
    assert_eq!(f.db.defer(message_id(&sent), deferral.clone()).await.expect("defers"), Deferred::Scheduled);
    let statuses = ["111 done operatorA", "222 sending ", "333 pending "];
    assert_eq!(f.statuses(message_id(&sent)).await, statuses);
    let again = f.db.begin_sending(&[begin_request(&sent)], LEASE).await.expect("begins").remove(0);
    let resumed: Vec<_> =
        again.claimed.iter().map(|claim| (claim.recipient.as_str(), claim.resumed.is_some())).collect();
    assert_eq!(resumed, [("222", true), ("333", false)], "of the one an operator may know, of the other none does");
    // The claim of before is nobody's any more.
    assert_eq!(f.db.defer(message_id(&sent), deferral).await.expect("answers"), Deferred::Scheduled);
    assert_eq!(f.count("sending", "").await, 2);
}

pub(crate) async fn what_was_not_sent_in_time_fails_and_is_refunded_once(f: &Fixture) {
    f.fund(1, 100).await;
    let (by_time, by_age) = (request(1, &["111", "222"]), request(1, &["333"]));
    f.db.accept(&[by_time.clone(), by_age.clone()]).await.expect("accepts");
    f.execute("UPDATE message_status SET created_at = '2020-01-01 00:00:00' WHERE recipient = '333'").await;
    let wanted = [until(&by_time, Expiry::At(in_seconds(-1))), until(&by_age, Expiry::After(MINUTE))];
    for (expired, finished) in [([2, 1], [0, 0]), ([0, 0], [2, 1])] {
        let begun = f.db.begin_sending(&wanted, LEASE).await.expect("begins");
        assert!(begun.iter().all(|begin| begin.claimed.is_empty() && begin.busy.is_none()), "{begun:?}");
        assert_eq!([0, 1].map(|place: usize| begun[place].expired), expired);
        assert_eq!([0, 1].map(|place: usize| begun[place].finished), finished);
        assert_eq!((f.count("failed", "expired").await, f.balance(1).await), (3, 100));
        f.assert_conserved().await;
    }
}

pub(crate) async fn each_of_a_batch_has_its_own_time(f: &Fixture) {
    f.fund(1, 100).await;
    let sent: Vec<_> = ["111", "222", "333", "444", "555"].map(|number| request(1, &[number])).into();
    f.db.accept(&sent).await.expect("accepts");
    let wanted = [
        begin_request(&sent[0]),
        until(&sent[1], Expiry::At(in_seconds(60))),
        until(&sent[2], Expiry::At(in_seconds(-60))),
        until(&sent[3], Expiry::After(MINUTE)),
        until(&sent[4], Expiry::After(Duration::ZERO)),
    ];
    let begun = f.db.begin_sending(&wanted, LEASE).await.expect("begins");
    let counts: Vec<_> = begun.iter().map(|begin| (begin.claimed.len(), begin.expired)).collect();
    assert_eq!(counts, [(1, 0), (1, 0), (0, 1), (1, 0), (0, 1)]);
    assert!(begun.iter().flat_map(|begin| &begin.claimed).all(|claim| claim.resumed.is_none()));
    assert_eq!((f.count("sending", "").await, f.balance(1).await), (3, 97));
    // Where all are in time nothing is read back.
    let more: Vec<_> = ["666", "777"].map(|number| request(1, &[number])).into();
    f.db.accept(&more).await.expect("accepts");
    let wanted: Vec<_> = more.iter().map(|sent| until(sent, Expiry::After(MINUTE))).collect();
    let begun = f.db.begin_sending(&wanted, LEASE).await.expect("begins");
    assert!(begun.iter().all(|begin| begin.claimed.len() == 1 && begin.expired == 0), "{begun:?}");
}

pub(crate) async fn what_an_operator_may_have_is_never_given_back_for_its_time(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = request(1, &["111", "222"]);
    f.accept_one(sent.clone()).await;
    f.publish_all().await;
    let claimed = f.begin(&sent).await;
    // One worker dies, another one puts it off without an answer.
    f.db.defer(message_id(&sent), maybe_taken(&claimed[..1], MINUTE)).await.expect("defers");
    f.expire_leases().await;
    let wanted = until(&sent, Expiry::At(in_seconds(-600)));
    let begun = f.db.begin_sending(&[wanted], LEASE).await.expect("begins").remove(0);
    assert_eq!((begun.claimed.len(), begun.expired), (2, 0));
    assert!(begun.claimed.iter().all(|claim| claim.resumed.is_some()));
    assert_eq!(f.balance(1).await, 98);
    // In the end nobody asks any more: it counts as taken.
    let never: Vec<_> = begun.claimed.iter().map(|claim| Settlement::new(claim, Outcome::NeverKnown)).collect();
    assert_eq!(f.db.settle(&never).await.expect("settles"), [true, true]);
    assert_eq!(f.db.settle(&never).await.expect("settles"), [false, false]);
    assert_eq!(f.ends(&sent).await, ["done unknown -"; 2]);
    assert_eq!(f.balance(1).await, 98);
    f.assert_conserved().await;
}

pub(crate) async fn a_time_is_kept_with_its_message(f: &Fixture) {
    f.fund(1, 100).await;
    let validity = Some(Validity::parse(300).expect("in range"));
    let now = AcceptRequest { send_at: None, validity, ..scheduled(1, &["111"], 0) };
    let later = AcceptRequest { validity, ..scheduled(1, &["222"], 3_600) };
    f.db.accept(&[now.clone(), request(1, &["333"]), later.clone()]).await.expect("accepts");
    let details = async |sent: &AcceptRequest| {
        let found = f.db.message(Reader::Staff, message_id(sent), None, 1).await.expect("reads").expect("is there");
        found.details.expect("it has some")
    };
    let (of_now, of_later) = (details(&now).await, details(&later).await);
    let expires = of_now.expires_at.expect("it has an end") - in_seconds(300);
    assert!(of_now.send_at.is_none() && expires.num_seconds().abs() < 60, "{expires}");
    let send_at = of_later.send_at.expect("it has a time");
    assert_eq!(of_later.expires_at.expect("it has an end") - send_at, TimeDelta::seconds(300));
    // The worker is told the same.
    let payloads = f.strings("SELECT CAST(payload AS CHAR) FROM outbox_events ORDER BY id").await;
    let told = |place: usize, member: &str| payloads[place].contains(&format!("\"{member}\""));
    assert!(told(0, "expires_at") && !told(0, "send_at"), "{payloads:?}");
    assert!(!told(1, "expires_at") && !told(1, "send_at"), "{payloads:?}");
    assert!(told(2, "expires_at") && told(2, "send_at"), "{payloads:?}");
}

pub(crate) async fn a_scheduled_message_waits_where_it_costs_nothing(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = scheduled(1, &["111", "222"], 3_600);
    f.accept_one(sent.clone()).await;
    f.accept_one(scheduled(2, &["333"], 3_600)).await;
    assert_eq!(f.balance(1).await, 98, "it is charged when it is accepted");
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 scheduled ", "222 scheduled "]);
    let filter = |status| HistoryFilter { status: Some(status), ..HistoryFilter::of(Reader::Customer(customer(1))) };
    for status in MessageStatus::ALL {
        let page = f.db.history(&filter(status), 10).await.expect("lists");
        let shown: Vec<_> = page.entries.iter().map(|entry| entry.status.to_string()).collect();
        let expected = if status == MessageStatus::Pending { vec!["pending"; 2] } else { vec![] };
        assert_eq!(shown, expected, "to clients it is pending");
    }
    for lane in Lane::ALL {
        assert_eq!(f.db.pending_events(lane, 10).await.expect("counts"), 0);
        assert_eq!(
            f.db.promote_scheduled(&mut Promotion::of(lane)).await.expect("promotes"),
            0,
            "its time has not come"
        );
        assert_eq!(f.db.scheduled_lag(lane).await.expect("looks"), None);
    }
    assert!(f.db.claim_events(Lane::Normal, 10, LEASE, &ClaimToken::unique()).await.expect("claims").is_empty());
    let begun = f.db.begin_sending(&[begin_request(&sent)], LEASE).await.expect("begins").remove(0);
    assert!(begun.claimed.is_empty(), "whoever asks for it too early gets nothing");
    assert_eq!(f.db.recover_embedded().await.expect("recovers"), 0);

    f.let_time_come().await;
    // A lane where others wait: it comes behind whoever is next.
    f.accept_one(AcceptRequest { turn: domain::Turn::from_stored(500), ..request(1, &["444"]) }).await;
    assert!(f.db.scheduled_lag(Lane::Normal).await.expect("looks").is_some_and(|lag| lag > MINUTE));
    assert_eq!(f.db.promote_scheduled(&mut Promotion::of(Lane::Normal)).await.expect("promotes"), 1);
    assert_eq!(f.db.promote_scheduled(&mut Promotion::of(Lane::Normal)).await.expect("promotes"), 0);
    assert_eq!(f.number("SELECT turn FROM outbox_events ORDER BY id LIMIT 1").await, 500);
    assert_eq!(f.db.pending_events(Lane::Normal, 10).await.expect("counts"), 2);
    f.publish_all().await;
    assert_eq!(f.begin(&sent).await.len(), 2);
}

pub(crate) async fn a_campaign_that_falls_due_takes_its_turns(f: &Fixture) {
    f.fund(1, 10_000).await;
    f.fund(2, 100).await;
    let numbers: Vec<_> = (0..600).map(|number| format!("+49151{number:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    // In each transaction there is room for one of these.
    for _ in 0..3 {
        f.accept_one(scheduled(1, &numbers, 3_600)).await;
    }
    f.accept_one(scheduled(2, &["111"], 3_600)).await;
    f.let_time_come().await;
    let mut promotion = Promotion::of(Lane::Normal);
    let mut promoted = Vec::new();
    loop {
        match f.db.promote_scheduled(&mut promotion).await.expect("promotes") {
            0 => break,
            more => promoted.push(more),
        }
    }
    assert_eq!(promoted, [1, 1, 2]);
    let turns = f.strings("SELECT CAST(turn AS CHAR) FROM outbox_events ORDER BY id").await;
    let turns: Vec<i64> = turns.iter().map(|turn| turn.parse().expect("a number")).collect();
    let from_first: Vec<_> = turns.iter().map(|turn| turn - turns[0]).collect();
    assert_eq!(from_first, [0, 600, 1_200, 0], "the other customer's message is the second one");
}

pub(crate) async fn what_an_operator_calls_cancelled_was_not_cancelled(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = request(1, &["111"]);
    f.accept_one(sent.clone()).await;
    let claimed = f.begin(&sent).await.remove(0);
    let done = Outcome::Done { provider: "operatorA".to_owned() };
    f.db.settle(&[Settlement::new(&claimed, done)]).await.expect("settles");
    f.execute("UPDATE message_status SET delivery_status = 'undelivered', error_code = 'cancelled'").await;
    assert_eq!(f.db.cancel(Reader::Staff, message_id(&sent)).await.expect("answers"), Cancel::OnItsWay);
}

pub(crate) async fn a_cancelled_message_is_given_back_once(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = scheduled(1, &["111", "222"], 3_600);
    f.accept_one(sent.clone()).await;
    let (own, other) = (Reader::Customer(customer(1)), Reader::Customer(customer(2)));
    let cancel = async |reader| f.db.cancel(reader, message_id(&sent)).await.expect("answers");
    assert_eq!(cancel(other).await, Cancel::NotFound);
    for _ in 0..2 {
        assert_eq!(cancel(own).await, Cancel::Cancelled(Cancelled { recipients: 2, refunded: 2 }));
        assert_eq!((f.count("failed", "cancelled").await, f.balance(1).await), (2, 100));
        f.assert_conserved().await;
    }
    f.let_time_come().await;
    assert_eq!(f.db.promote_scheduled(&mut Promotion::of(Lane::Normal)).await.expect("promotes"), 0);
    let now = request(1, &["333"]);
    f.accept_one(now.clone()).await;
    assert_eq!(f.db.cancel(own, message_id(&now)).await.expect("answers"), Cancel::OnItsWay);
    assert_eq!(f.db.cancel(own, message_id(&request(1, &["1234"]))).await.expect("answers"), Cancel::NotFound);
}

pub(crate) async fn a_message_is_cancelled_or_promoted_and_never_both(f: &Fixture) {
    const MESSAGES: usize = 40;
    f.fund(1, 1_000).await;
    let sent: Vec<_> = (0..MESSAGES).map(|_| scheduled(1, &["111", "222"], 3_600)).collect();
    f.db.accept(&sent).await.expect("accepts");
    f.let_time_come().await;
    let promoting = async {
        for _ in 0..MESSAGES {
            f.db.promote_scheduled(&mut Promotion::of(Lane::Normal)).await.expect("promotes");
        }
    };
    let cancelling = async {
        let mut cancelled = 0;
        for sent in sent.iter().rev() {
            let answer = f.db.cancel(Reader::Staff, message_id(sent)).await.expect("answers");
            cancelled += i64::from(matches!(answer, Cancel::Cancelled(_)));
        }
        cancelled
    };
    let ((), cancelled) = tokio::join!(promoting, cancelling);
    f.db.promote_scheduled(&mut Promotion::of(Lane::Normal)).await.expect("promotes");
    assert_eq!(f.count("failed", "cancelled").await, 2 * cancelled);
    let promoted = i64::try_from(MESSAGES).expect("few") - cancelled;
    assert_eq!(f.count("pending", "").await, 2 * promoted);
    assert_eq!(f.number("SELECT COUNT(*) FROM outbox_events WHERE status = 'pending'").await, promoted);
    assert_eq!(f.balance(1).await, 1_000 - 2 * promoted);
    f.assert_conserved().await;
}

pub(crate) async fn what_came_too_late_is_only_repeated(f: &Fixture) {
    f.fund(1, 100).await;
    let late = |key: &str| AcceptRequest { only_replay: true, ..with_key(request(1, &["111"]), key, "a") };
    assert_eq!(f.accept_one(late("new")).await, AcceptOutcome::Missed);
    let first = with_key(scheduled(1, &["111"], 1), "old", "a");
    f.accept_one(first.clone()).await;
    assert_eq!(f.accept_one(late("old")).await, AcceptOutcome::Replayed(message_id(&first).clone()));
    assert_eq!(f.balance(1).await, 99);
    let charged = f.db.charged(Reader::Customer(customer(1)), message_id(&first)).await.expect("reads");
    assert!(charged.is_some_and(|charged| charged.scheduled));
}

pub(crate) async fn a_stuck_message_is_found_beside_scheduled_ones(f: &Fixture) {
    f.fund(1, 10_000).await;
    let later: Vec<_> = (0..300).map(|_| scheduled(1, &["111"], 3_600)).collect();
    f.db.accept(&later).await.expect("accepts");
    let stuck = request(1, &["222"]);
    f.accept_one(stuck.clone()).await;
    f.publish_all().await;
    f.execute("UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00' WHERE status = 'processed'").await;
    assert_eq!(f.db.republish_stuck(MINUTE).await.expect("looks").republished, 1);
    assert_eq!(f.db.pending_events(Lane::Normal, 1_000).await.expect("counts"), 1, "scheduled ones are none");
}
