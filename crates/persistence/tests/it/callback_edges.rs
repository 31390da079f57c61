//! Callbacks where things meet: requests at once, endpoints that go while events wait, attempts that end while others ask.

use std::time::Duration;

use domain::CallbackEventId;
use persistence::{CallbackEnd, ClaimedCallback, EndpointCreated, NewEndpoint, Resent, Settlement};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use test_support::wait_until;
use tokio::task::JoinSet;

use crate::{
    callbacks::{HOUR, NUMBER, done, id, new_endpoint, record},
    support::{Fixture, customer, request},
};

const DEADLINE: Duration = Duration::from_secs(20);
/// In the form in which SQLite keeps times, for it compares texts.
const LONG_AGO: &str = "2020-01-01 00:00:00.000";

impl Fixture {
    /// Removes all endpoints as a request does that is cut off before it cancels what waits for them.
    async fn endpoints_go(&self) {
        self.execute("DELETE FROM callback_endpoints").await;
    }

    /// What went wrong with an event is recorded; it is due again after an hour.
    async fn fails(&self, claimed: &ClaimedCallback) {
        let failed = record(claimed, CallbackEnd::Again(Some(HOUR)));
        self.db.record_callbacks(&[failed]).await.expect("records");
    }

    async fn resend(&self, event: &CallbackEventId) -> Resent {
        self.db.resend_callback(customer(1), event).await.expect("asks")
    }
}

/// Tells how many of these were made.
async fn made(requests: JoinSet<EndpointCreated>) -> usize {
    let answers = requests.join_all().await;
    answers.iter().filter(|answer| matches!(answer, EndpointCreated::Created(_))).count()
}

fn thirty() -> Vec<NewEndpoint> {
    (0..30).map(|n| new_endpoint(1, &format!("https://example.com/{n}"))).collect()
}

fn requests(f: &Fixture, endpoints: Vec<NewEndpoint>) -> JoinSet<EndpointCreated> {
    let mut requests = JoinSet::new();
    for new in endpoints {
        let db = f.db.clone();
        requests.spawn(async move { db.create_endpoint(&new).await.expect("answers") });
    }
    requests
}

pub(crate) async fn of_thirty_endpoints_made_at_once_ten_are_there(f: &Fixture) {
    assert_eq!(made(requests(f, thirty())).await, 10);
    assert_eq!(f.number("SELECT COUNT(*) FROM callback_endpoints").await, 10);
}

/// The same where all have counted none before any of them stores one: somebody else holds the place of their rows until then, as this
/// session's isolation allows.
#[tokio::test]
async fn of_thirty_endpoints_that_all_counted_none_ten_are_there() {
    let f = Fixture::server().await;
    let holder = f.sql.begin().await.expect("begins");
    let gap = "SELECT * FROM callback_endpoints WHERE customer_id = 1 FOR UPDATE";
    holder.execute_unprepared(gap).await.expect("locks");
    let requests = requests(&f, thirty());
    let waiting = format!(
        "SELECT COUNT(*) FROM {} AS session
         WHERE db = DATABASE() AND command = 'Execute' AND info LIKE 'INSERT INTO%callback_endpoints%'",
        f.sessions().await
    );
    wait_until(DEADLINE, "all wait", async || (f.number(&waiting).await == 30).then_some(())).await;
    holder.rollback().await.expect("lets go");
    assert_eq!(made(requests).await, 10);
    assert_eq!(f.number("SELECT COUNT(*) FROM callback_endpoints").await, 10);
    f.remove().await;
}

pub(crate) async fn a_customer_with_too_many_endpoints_takes_none_from_others(f: &Fixture) {
    let sent = [request(1, &[NUMBER]), request(2, &[NUMBER])];
    let mut settlements = Vec::new();
    for (user, sent) in [(1, &sent[0]), (2, &sent[1])] {
        f.fund(user, 100).await;
        f.accept_one(sent.clone()).await;
        settlements.push(Settlement::new(&f.begin(sent).await.remove(0), done()));
    }
    for n in 0..25 {
        f.execute(&format!(
            "INSERT INTO callback_endpoints (public_id, customer_id, url, events)
             VALUES ('ep_{n}', 1, 'https://a.example/', 'message.done')"
        ))
        .await;
    }
    f.endpoint(2, "https://b.example/").await;
    f.db.settle(&settlements).await.expect("settles");
    assert_eq!(f.number("SELECT COUNT(*) FROM callback_events WHERE customer_id = 2").await, 1);
}

pub(crate) async fn what_waits_for_a_removed_endpoint_is_cancelled(f: &Fixture) {
    let gone = f.endpoint(1, "https://a.example/").await;
    let events = f.tests(&gone, 4).await;
    f.claim(1).await;
    let waiting: Vec<_> =
        (0..2_100).map(|n| format!("('evt_{n}', 1, -1, 'message.done', '{{}}', '{LONG_AGO}')")).collect();
    f.execute(&format!(
        "INSERT INTO callback_events (public_id, customer_id, endpoint_id, type, payload, next_run_at) VALUES {}",
        waiting.join(", ")
    ))
    .await;
    let (cancelled, place) = f.db.cancel_orphaned_callbacks(None).await.expect("looks");
    assert_eq!((cancelled, place.is_some()), (2_000, true), "a look goes through so many");
    let (cancelled, place) = f.db.cancel_orphaned_callbacks(place).await.expect("looks");
    assert_eq!((cancelled, place), (100, None), "those of an endpoint that is there wait");

    f.endpoints_go().await;
    f.execute(&format!("UPDATE callback_events SET next_run_at = '{LONG_AGO}' WHERE status = 'sending'")).await;
    assert_eq!(f.db.rescue_callbacks().await.expect("rescues"), 1);
    let own = "SELECT status FROM callback_events WHERE endpoint_id <> -1 ORDER BY status";
    assert_eq!(f.strings(own).await, ["cancelled", "pending", "pending", "pending"]);
    let expires = format!("UPDATE callback_events SET next_run_at = '{LONG_AGO}' WHERE public_id = '{}'", events[3]);
    f.execute(&expires).await;
    assert_eq!(f.db.expire_callbacks().await.expect("ends"), 1);
    assert_eq!(f.db.cancel_orphaned_callbacks(None).await.expect("looks"), (2, None));
    assert_eq!(f.strings(own).await, ["cancelled"; 4]);
}

pub(crate) async fn what_is_asked_for_while_it_is_sent_is_sent_again(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    let events = f.tests(&endpoint, 2).await;
    f.execute("UPDATE callback_events SET attempts = 7").await;
    let last = f.claim(16).await;
    assert_eq!(last.iter().map(|event| event.attempts).collect::<Vec<_>>(), [8, 8]);
    assert_eq!(f.resend(&events[0]).await, Resent::Due);
    assert_eq!(f.claim(16).await.len(), 0, "it is with its relay");
    let records: Vec<_> = last.iter().map(|event| record(event, CallbackEnd::Again(None))).collect();
    f.db.record_callbacks(&records).await.expect("records");
    assert_eq!(f.statuses_of_events().await, ["pending", "failed"]);
    let again = f.claim(16).await.remove(0);
    assert_eq!((again.id.as_str(), again.attempts, again.trigger.as_str()), (events[0].as_str(), 1, "resend"));
    // And the usual wait after that, however it was asked for.
    f.fails(&again).await;
    assert_eq!(f.claim(16).await.len(), 0);
    assert_eq!(f.strings("SELECT status FROM callback_events WHERE requested IS NOT NULL").await, ["failed"]);
}

pub(crate) async fn what_a_relay_left_is_rescued_after_it_was_asked_for(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    let events = f.tests(&endpoint, 1).await;
    f.execute("UPDATE callback_events SET attempts = 7").await;
    f.claim(1).await;
    f.resend(&events[0]).await;
    f.execute(&format!("UPDATE callback_events SET next_run_at = '{LONG_AGO}'")).await;
    assert_eq!(f.db.rescue_callbacks().await.expect("rescues"), 1);
    assert_eq!(f.claim(1).await[0].attempts, 1);
}

pub(crate) async fn a_failure_after_a_success_begins_a_new_row(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    f.tests(&endpoint, 2).await;
    let claimed = f.claim(16).await;
    f.execute(&format!("UPDATE callback_endpoints SET failures = 30, failing_since = '{LONG_AGO}'")).await;
    let records = [record(&claimed[0], CallbackEnd::Done), record(&claimed[1], CallbackEnd::Again(Some(HOUR)))];
    assert_eq!(f.db.record_callbacks(&records).await.expect("records").disabled, [""; 0]);
    let now = f.again(&endpoint).await;
    assert!(now.failing_since.is_some_and(|since| since >= now.created_at), "{now:?}");
    assert_eq!((now.enabled, id(&now)), (true, id(&endpoint)));
    assert_eq!(f.number("SELECT failures FROM callback_endpoints").await, 1);
}
