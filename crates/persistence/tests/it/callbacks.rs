//! Callbacks: endpoints, what is stored for them, claims, and what attempts make of both.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CallbackEventId, CallbackStatus, CallbackTypes, CustomerId, EndpointId};
use persistence::{
    CallbackEnd, CallbackEndpoint, CallbackFilter, CallbackRecord, ClaimedCallback, EndpointChange, EndpointCreated,
    NewEndpoint, Outcome, Resent, Settlement,
};
use uuid::Uuid;

use crate::{
    receipts::{done_by, receipt},
    support::{Fixture, LEASE, customer, message_id, request},
};

pub(crate) const NUMBER: &str = "+989128582812";
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn new_endpoint(user: i64, url: &str) -> NewEndpoint {
    NewEndpoint {
        id: EndpointId::from_uuid(Uuid::now_v7()),
        customer: customer(user),
        url: url.to_owned(),
        description: None,
        types: CallbackTypes::all(),
        per_second: None,
    }
}

pub(crate) fn id(endpoint: &CallbackEndpoint) -> EndpointId {
    EndpointId::parse(&endpoint.id).expect("an id")
}

pub(crate) fn record(claimed: &ClaimedCallback, end: CallbackEnd) -> CallbackRecord {
    CallbackRecord {
        claimed: claimed.clone(),
        duration: Duration::from_millis(7),
        status: Some(if end == CallbackEnd::Done { 204 } else { 500 }),
        error: None,
        response: b"busy".to_vec(),
        end,
        was_failing: true,
    }
}

impl Fixture {
    pub(crate) async fn endpoint(&self, user: i64, url: &str) -> CallbackEndpoint {
        match self.db.create_endpoint(&new_endpoint(user, url)).await.expect("stores") {
            EndpointCreated::Created(endpoint) => endpoint,
            EndpointCreated::TooMany => panic!("there are too many"),
        }
    }

    /// The endpoint as it is now.
    pub(crate) async fn again(&self, endpoint: &CallbackEndpoint) -> CallbackEndpoint {
        let found = self.db.endpoint(customer(endpoint.customer), &id(endpoint)).await.expect("reads");
        found.expect("is there")
    }

    pub(crate) async fn tests(&self, endpoint: &CallbackEndpoint, count: usize) -> Vec<CallbackEventId> {
        let mut events = Vec::new();
        for _ in 0..count {
            let event = self.db.test_endpoint(customer(endpoint.customer), &id(endpoint)).await.expect("stores");
            events.push(event.expect("is there"));
        }
        events
    }

    /// All that is due, of all endpoints that may be told.
    pub(crate) async fn claim(&self, most: usize) -> Vec<ClaimedCallback> {
        let due = self.db.due_endpoints(0, 100).await.expect("reads");
        let wanted: Vec<_> = due.iter().map(|endpoint| (endpoint.row, most)).collect();
        self.db.claim_callbacks(&wanted, LEASE).await.expect("claims")
    }

    pub(crate) async fn statuses_of_events(&self) -> Vec<String> {
        self.strings("SELECT status FROM callback_events ORDER BY id").await
    }

    async fn told(&self) -> Vec<String> {
        self.strings("SELECT type FROM callback_events ORDER BY id").await
    }

    /// A message of this user that ends as said.
    async fn ended(&self, user: i64, outcome: Outcome) {
        let sent = request(user, &[NUMBER]);
        self.accept_one(sent.clone()).await;
        let claimed = self.begin(&sent).await.remove(0);
        assert_eq!(self.db.settle(&[Settlement::new(&claimed, outcome)]).await.expect("settles"), [true]);
    }
}

pub(crate) fn done() -> Outcome {
    Outcome::Done { provider: "operatorA".to_owned() }
}

pub(crate) async fn a_customer_has_ten_endpoints_of_its_own(f: &Fixture) {
    for n in 0..10 {
        f.endpoint(1, &format!("https://example.com/{n}")).await;
    }
    let refused = f.db.create_endpoint(&new_endpoint(1, "https://example.com/")).await.expect("asks");
    assert_eq!(refused, EndpointCreated::TooMany);
    let other = f.endpoint(2, "https://example.com/").await;
    let own: Vec<_> = f.db.endpoints(customer(1)).await.expect("lists").into_iter().map(|of| of.url).collect();
    assert_eq!((own.len(), own[0].as_str()), (10, "https://example.com/0"));
    // What is another's is not there.
    let foreign: CustomerId = customer(1);
    assert_eq!(f.db.endpoint(foreign, &id(&other)).await.expect("reads"), None);
    let change = EndpointChange { enabled: Some(false), ..EndpointChange::default() };
    assert_eq!(f.db.change_endpoint(foreign, &id(&other), &change).await.expect("asks"), None);
    assert_eq!(f.db.rotate_endpoint_secret(foreign, &id(&other), HOUR).await.expect("asks"), None);
    assert_eq!(f.db.test_endpoint(foreign, &id(&other)).await.expect("asks"), None);
    assert!(!f.db.remove_endpoint(foreign, &id(&other)).await.expect("asks"));
    assert_eq!(f.again(&other).await, other);
}

pub(crate) async fn an_endpoint_is_changed_rotated_and_removed(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    let change = EndpointChange {
        description: Some(Some("orders".to_owned())),
        types: Some(CallbackTypes::parse(["message.failed"]).expect("types")),
        enabled: Some(false),
        ..EndpointChange::default()
    };
    let changed = f.db.change_endpoint(customer(1), &id(&endpoint), &change).await.expect("changes").expect("is there");
    assert_eq!((changed.url.as_str(), changed.enabled), ("https://example.com/", false));
    assert_eq!(changed.types.to_stored(), "message.failed");
    assert_eq!(changed.disabled_reason.as_deref(), Some("by_customer"));
    let rotated = f.db.rotate_endpoint_secret(customer(1), &id(&endpoint), HOUR).await.expect("rotates");
    let rotated = rotated.expect("is there");
    assert_eq!(rotated.secret_version, 2);
    assert!(rotated.previous_until.is_some_and(|until| until > rotated.created_at));
    f.tests(&endpoint, 3).await;
    assert!(f.db.remove_endpoint(customer(1), &id(&endpoint)).await.expect("removes"));
    assert_eq!(f.statuses_of_events().await, ["cancelled"; 3]);
    assert!(!f.db.remove_endpoint(customer(1), &id(&endpoint)).await.expect("asks"));
}

pub(crate) async fn every_change_of_a_message_is_told_in_its_transaction(f: &Fixture) {
    f.fund(1, 100).await;
    f.endpoint(1, "https://example.com/").await;
    let sent = request(1, &[NUMBER, "+989120000001", "+989120000002"]);
    f.accept_one(sent.clone()).await;
    let claimed = f.begin(&sent).await;
    let settlements = [
        done_by("operatorA", &claimed[0], "x-1"),
        Settlement::new(&claimed[1], Outcome::Failed { provider: "operatorA".to_owned() }),
        done_by("operatorA", &claimed[2], "x-3"),
    ];
    assert_eq!(f.db.settle(&settlements).await.expect("settles"), [true; 3]);
    assert_eq!(f.told().await, ["message.done", "message.done", "message.failed"]);
    assert_eq!(f.take(&[receipt("x-1", "delivered")]).await, (1, 1));
    f.execute("UPDATE operator_messages SET receipt_due_at = '2020-01-01 00:00:00' WHERE receipt_due_at IS NOT NULL")
        .await;
    assert_eq!(f.db.give_up_receipts().await.expect("gives up"), 1);
    assert_eq!(f.told().await[3..], ["message.delivered", "message.delivery_unknown"]);
    // Repeated, nothing changes and nothing is told.
    assert_eq!(f.db.settle(&settlements).await.expect("settles"), [false; 3]);
    assert_eq!(f.take(&[receipt("x-1", "delivered")]).await, (0, 0));
    assert_eq!(f.told().await.len(), 5);
    let payloads = f.strings("SELECT payload FROM callback_events WHERE type = 'message.delivered'").await;
    for part in [
        "{\"type\":\"message.delivered\",\"timestamp\":\"",
        "\"status\":\"done\",\"delivery_status\":\"delivered\",\"error_code\":\"000\"",
        "\"price\":1,\"provider\":\"operatorA\",\"sequence\":2}}",
        message_id(&sent).as_str(),
        NUMBER,
    ] {
        assert!(payloads[0].contains(part), "{part} is not in {}", payloads[0]);
    }
    assert_eq!(f.strings("SELECT CONCAT(sequence, '') FROM message_status ORDER BY id").await, ["2", "1", "2"]);
    f.assert_conserved().await;
}

pub(crate) async fn a_customer_without_endpoints_costs_nothing(f: &Fixture) {
    f.fund(1, 100).await;
    f.fund(2, 100).await;
    f.endpoint(1, "https://example.com/").await;
    f.db.refresh_callback_customers().await.expect("looks");
    f.ended(2, done()).await;
    f.ended(2, Outcome::Failed { provider: String::new() }).await;
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE sequence IS NOT NULL").await, 0);
    // A customer of whose endpoint this process does not know is not asked about either.
    f.endpoint(2, "https://example.com/").await;
    f.ended(2, done()).await;
    assert_eq!(f.told().await, [""; 0]);
    f.ended(1, done()).await;
    assert_eq!(f.told().await, ["message.done"]);
    f.db.refresh_callback_customers().await.expect("looks");
    f.ended(2, done()).await;
    assert_eq!(f.told().await, ["message.done"; 2]);
}

pub(crate) async fn a_message_with_its_own_url_is_told_there(f: &Fixture) {
    f.fund(1, 100).await;
    f.endpoint(1, "https://a.example/x").await;
    f.endpoint(1, "https://b.example/x").await;
    let sent = request(1, &[NUMBER]);
    f.accept_one(sent.clone()).await;
    f.execute(&format!(
        "INSERT INTO message_details (message_identifier, user_id, encoding, client_reference, callback_url)
         VALUES ('{}', 1, 'gsm7', 'order-4711', 'https://b.example/orders')",
        message_id(&sent)
    ))
    .await;
    let claimed = f.begin(&sent).await.remove(0);
    f.db.settle(&[Settlement::new(&claimed, done())]).await.expect("settles");
    let told = f
        .strings(
            "SELECT CONCAT(e.url, ' ', v.url) FROM callback_events v JOIN callback_endpoints e ON e.id = v.endpoint_id",
        )
        .await;
    assert_eq!(told, ["https://b.example/x https://b.example/orders"]);
    let payloads = f.strings("SELECT payload FROM callback_events").await;
    assert!(payloads[0].contains("\"client_reference\":\"order-4711\""), "{payloads:?}");
}

pub(crate) async fn a_disabled_endpoint_keeps_its_events(f: &Fixture) {
    f.fund(1, 100).await;
    let endpoint = f.endpoint(1, "https://example.com/").await;
    let enabled = |enabled| EndpointChange { enabled: Some(enabled), ..EndpointChange::default() };
    f.db.change_endpoint(customer(1), &id(&endpoint), &enabled(false)).await.expect("disables");
    f.ended(1, done()).await;
    assert_eq!((f.statuses_of_events().await, f.claim(16).await.len()), (vec!["pending".to_owned()], 0));
    f.db.change_endpoint(customer(1), &id(&endpoint), &enabled(true)).await.expect("enables");
    assert_eq!(f.claim(16).await.len(), 1, "they flow again");
}

pub(crate) async fn two_claims_share_nothing_and_an_attempt_counts_at_once(f: &Fixture) {
    let (one, other) = (f.endpoint(1, "https://a.example/").await, f.endpoint(2, "https://b.example/").await);
    f.tests(&one, 20).await;
    f.tests(&other, 2).await;
    let first = f.claim(100).await;
    assert_eq!(first.len(), 18, "16 of one endpoint, whatever waits for it, and both of the other");
    let second = f.claim(3).await;
    assert_eq!(second.len(), 3);
    let both: std::collections::HashSet<_> = first.iter().chain(&second).map(|event| &event.id).collect();
    assert_eq!(both.len(), 21);
    assert!(first.iter().all(|event| event.attempts == 1));
    assert_eq!(f.number("SELECT COUNT(*) FROM callback_events WHERE attempts = 1").await, 21);
    let records: Vec<_> = first.iter().map(|event| record(event, CallbackEnd::Done)).collect();
    f.db.record_callbacks(&records).await.expect("records");
    f.db.record_callbacks(&[record(&second[0], CallbackEnd::Again(Some(HOUR)))]).await.expect("records");
    assert_eq!(f.number("SELECT COUNT(*) FROM callback_events WHERE status = 'done'").await, 18);
    assert_eq!(f.number("SELECT COUNT(*) FROM callback_attempts WHERE status_code = 204").await, 18);
    assert_eq!(f.claim(16).await.len(), 1, "what failed is not due yet");
}

pub(crate) async fn five_failures_pause_and_then_one_probe_is_enough(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    f.tests(&endpoint, 10).await;
    let claimed = f.claim(6).await;
    let again: Vec<_> = claimed.iter().map(|event| record(event, CallbackEnd::Again(Some(HOUR)))).collect();
    assert_eq!(f.db.record_callbacks(&again[..4]).await.expect("records").paused, 0);
    assert_eq!(f.claim(0).await.len(), 0);
    assert_eq!(f.db.record_callbacks(&again[4..]).await.expect("records").paused, 1);
    assert_eq!(f.db.due_endpoints(0, 100).await.expect("reads").len(), 0, "it is let alone");
    assert!(f.again(&endpoint).await.paused_until.is_some());
    f.execute("UPDATE callback_endpoints SET paused_until = '2020-01-01 00:00:00'").await;
    let due = f.db.due_endpoints(0, 100).await.expect("reads");
    assert!(due[0].is_probed && due[0].is_failing);
    let probe = f.claim(1).await;
    f.db.record_callbacks(&[record(&probe[0], CallbackEnd::Again(Some(HOUR)))]).await.expect("records");
    assert_eq!(f.number("SELECT failures FROM callback_endpoints").await, 6);
    f.execute("UPDATE callback_endpoints SET paused_until = '2020-01-01 00:00:00'").await;
    let probe = f.claim(1).await;
    f.db.record_callbacks(&[record(&probe[0], CallbackEnd::Done)]).await.expect("records");
    let works = f.again(&endpoint).await;
    assert_eq!((works.failing_since, works.paused_until, works.enabled), (None, None, true));
    assert!(!f.db.due_endpoints(0, 100).await.expect("reads")[0].is_failing);
}

pub(crate) async fn an_endpoint_that_is_gone_is_disabled_and_others_are_told(f: &Fixture) {
    let (gone, failing) = (f.endpoint(1, "https://a.example/").await, f.endpoint(1, "https://b.example/").await);
    f.endpoint(2, "https://c.example/").await;
    f.tests(&gone, 1).await;
    let claimed = f.claim(16).await;
    let recorded = f.db.record_callbacks(&[record(&claimed[0], CallbackEnd::Gone(Some(HOUR)))]).await.expect("records");
    assert_eq!(recorded.disabled, [&*gone.id]);
    assert_eq!(f.again(&gone).await.disabled_reason.as_deref(), Some("gone"));
    let told = f.claim(16).await;
    assert_eq!(told.len(), 1, "the customer's other endpoint");
    assert!(told[0].payload.contains(&gone.id) && told[0].payload.starts_with("{\"type\":\"endpoint.disabled\""));
    // Five days of failures.
    f.execute("UPDATE callback_endpoints SET failures = 9, failing_since = '2020-01-01 00:00:00' WHERE enabled").await;
    let recorded = f.db.record_callbacks(&[record(&told[0], CallbackEnd::Again(Some(HOUR)))]).await.expect("records");
    assert_eq!(recorded.disabled, [&*failing.id]);
    assert_eq!(f.again(&failing).await.disabled_reason.as_deref(), Some("failing"));
}

pub(crate) async fn what_a_relay_left_is_rescued(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    f.tests(&endpoint, 2).await;
    let left = f.claim(16).await;
    assert_eq!(f.db.rescue_callbacks().await.expect("looks"), 0, "its lease holds");
    f.execute("UPDATE callback_events SET next_run_at = '2020-01-01 00:00:00'").await;
    f.execute("UPDATE callback_events SET attempts = 8").await;
    f.execute(&format!("UPDATE callback_events SET attempts = 1 WHERE public_id = '{}'", left[0].id)).await;
    assert_eq!(f.db.rescue_callbacks().await.expect("rescues"), 2);
    let again = f.claim(16).await;
    assert_eq!(
        again.iter().map(|event| &event.id).collect::<Vec<_>>(),
        [&left[0].id],
        "the other had its last attempt"
    );
    assert_eq!(again[0].attempts, 2);
    // The relay that was slow changes nothing.
    f.db.record_callbacks(&[record(&left[0], CallbackEnd::Done)]).await.expect("records");
    let mut statuses = f.statuses_of_events().await;
    statuses.sort();
    assert_eq!(statuses, ["failed", "sending"]);
}

pub(crate) async fn events_are_sent_again_when_asked_for(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    let events = f.tests(&endpoint, 3).await;
    let claimed = f.claim(16).await;
    let records: Vec<_> = claimed.iter().map(|event| record(event, CallbackEnd::Again(None))).collect();
    f.db.record_callbacks(&records).await.expect("records");
    assert_eq!(f.statuses_of_events().await, ["failed"; 3]);
    assert_eq!(f.db.resend_callback(customer(2), &events[0]).await.expect("asks"), Resent::NotFound);
    assert_eq!(f.db.resend_callback(customer(1), &events[0]).await.expect("asks"), Resent::Due);
    f.execute("UPDATE callback_endpoints SET paused_until = NULL, failures = 0").await;
    let again = f.claim(16).await;
    assert_eq!((again.len(), again[0].id.as_str(), again[0].attempts), (1, events[0].as_str(), 1));
    assert_eq!(again[0].trigger.as_str(), "resend");
    f.db.record_callbacks(&[record(&again[0], CallbackEnd::Done)]).await.expect("records");
    let attempts = f.db.callback_attempts(customer(1), &events[0]).await.expect("lists").expect("is there");
    let shown: Vec<_> = attempts.iter().map(|attempt| (attempt.trigger.as_str(), attempt.status)).collect();
    assert_eq!(shown, [("resend", Some(204)), ("test", Some(500))]);
    assert_eq!(f.db.callback_attempts(customer(2), &events[0]).await.expect("lists"), None);
    let until: DateTime<Utc> = "2100-01-01T00:00:00Z".parse().expect("a time");
    let named = id(&endpoint);
    let recover = |window| f.db.recover_callbacks(customer(1), &named, window);
    assert_eq!(recover((until, until)).await.expect("asks"), Some(0));
    assert_eq!(recover((DateTime::UNIX_EPOCH, until)).await.expect("recovers"), Some(2));
    let filter = CallbackFilter { status: Some(CallbackStatus::Pending), ..CallbackFilter::default() };
    let page = f.db.callback_events(customer(1), &filter, None, 1).await.expect("lists");
    assert_eq!(page.entries[0].endpoint.as_deref(), Some(endpoint.id.as_str()));
    let rest = f.db.callback_events(customer(1), &filter, page.next, 1).await.expect("lists");
    assert_eq!((rest.entries.len(), rest.entries[0].id != page.entries[0].id), (1, true));
    assert_eq!(f.db.callback_events(customer(2), &filter, None, 1).await.expect("lists").entries, []);
    f.db.remove_endpoint(customer(1), &id(&endpoint)).await.expect("removes");
    assert_eq!(f.db.resend_callback(customer(1), &events[0]).await.expect("asks"), Resent::NoEndpoint);
}

pub(crate) async fn old_callbacks_end_and_are_deleted(f: &Fixture) {
    let endpoint = f.endpoint(1, "https://example.com/").await;
    f.tests(&endpoint, 2).await;
    let claimed = f.claim(1).await;
    f.db.record_callbacks(&[record(&claimed[0], CallbackEnd::Done)]).await.expect("records");
    assert_eq!(f.db.expire_callbacks().await.expect("looks") + f.db.purge_callbacks().await.expect("looks"), 0);
    f.execute("UPDATE callback_events SET next_run_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.db.due_callbacks(10).await.expect("counts"), 1);
    assert_eq!(f.db.expire_callbacks().await.expect("ends"), 1);
    assert_eq!(f.statuses_of_events().await, ["done", "failed"]);
    f.execute("UPDATE callback_events SET next_run_at = '2020-01-01 00:00:00'").await;
    f.execute("UPDATE callback_attempts SET at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.db.purge_callbacks().await.expect("deletes"), 3);
}
