//! Every operation of callbacks, on tables with a backlog.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CallbackEventId, CallbackStatus, CallbackTypes, EndpointId, ReceiptState};
use uuid::Uuid;

use super::{
    Sent,
    life::{LEASE, Life},
    life_receipts::{called, receipt},
};
use crate::{
    CallbackEnd, CallbackFilter, CallbackPlace, CallbackRecord, ClaimedCallback, EndpointChange, EndpointCreated,
    NewEndpoint, Outcome, Query, Resent, Settlement,
    samples::{begin_request, customer, request},
};

const HOUR: Duration = Duration::from_hours(1);

impl Life {
    pub(super) async fn callbacks(&self, sent: &mut Sent) {
        for statement in [
            "INSERT INTO callback_endpoints (public_id, customer_id, url, events)
             SELECT CONCAT('ep_', id), 1000 + id, 'https://example.com/', 'message.done' FROM outbox_events",
            "INSERT INTO callback_events (public_id, customer_id, endpoint_id, type, payload, status, next_run_at)
             SELECT CONCAT('evt_', id), 1000 + id % 300, id % 300, 'message.done', '{}', IF(id % 3, 'done', 'failed'),
             UTC_TIMESTAMP(6) FROM outbox_events",
            "INSERT INTO callback_attempts (event_id, duration_ms, response, `trigger`)
             SELECT id, 1, '', 'schedule' FROM outbox_events",
            "ANALYZE TABLE callback_endpoints, callback_events, callback_attempts",
        ] {
            self.execute(statement).await;
        }
        let endpoint = self.endpoints(sent).await;
        self.changes(sent).await;
        self.execute("ANALYZE TABLE callback_endpoints, callback_events").await;
        self.attempts(sent).await;
        self.requests(sent, &endpoint).await;
        self.sweeps(sent).await;
        assert!(sent.of(Query::CallbackRemove, self.db.remove_endpoint(customer(7), &endpoint)).await);
    }

    /// Two endpoints of one customer, of which one is told everything.
    async fn endpoints(&self, sent: &mut Sent) -> EndpointId {
        let new = NewEndpoint {
            id: EndpointId::from_uuid(Uuid::now_v7()),
            customer: customer(7),
            url: "https://example.com/".to_owned(),
            description: None,
            types: CallbackTypes::all(),
            per_second: None,
        };
        let made = sent.of(Query::CallbackCreate, self.db.create_endpoint(&new)).await;
        assert!(matches!(made, EndpointCreated::Created(_)));
        let other = NewEndpoint { id: EndpointId::from_uuid(Uuid::now_v7()), ..new.clone() };
        self.db.create_endpoint(&other).await.expect("stores");
        assert_eq!(sent.of(Query::CallbackEndpoints, self.db.endpoints(customer(7))).await.len(), 2);
        assert!(sent.of(Query::CallbackEndpoint, self.db.endpoint(customer(7), &new.id)).await.is_some());
        for change in [
            EndpointChange { enabled: Some(true), ..EndpointChange::default() },
            EndpointChange { url: Some(new.url.clone()), ..EndpointChange::default() },
        ] {
            sent.of(Query::CallbackChange, self.db.change_endpoint(customer(7), &new.id, &change)).await;
        }
        sent.of(Query::CallbackRotate, self.db.rotate_endpoint_secret(customer(7), &new.id, HOUR)).await;
        sent.of(Query::CallbackCustomers, self.db.refresh_callback_customers()).await;
        assert!(sent.of(Query::CallbackAny, self.db.has_callback_endpoints()).await);
        new.id
    }

    /// What a customer with endpoints adds to the changes of its messages.
    async fn changes(&self, sent: &mut Sent) {
        let messages: Vec<_> = (0..3).map(|_| request(7)).collect();
        self.db.accept(&messages).await.expect("accepts");
        let wanted: Vec<_> = messages.iter().map(begin_request).collect();
        let begun = self.db.begin_sending(&wanted, LEASE).await.expect("takes");
        let claimed: Vec<_> = begun.into_iter().flat_map(|begin| begin.claimed).collect();
        let provider = || "operator".to_owned();
        let settlements = [
            Settlement::new(&claimed[0], Outcome::Done { provider: provider() }).called(called("cb-1")),
            Settlement::new(&claimed[1], Outcome::Done { provider: provider() }).called(called("cb-2")),
            Settlement::new(&claimed[2], Outcome::Failed { provider: provider() }),
        ];
        assert_eq!(sent.of(Query::Settle, self.db.settle(&settlements)).await, [true; 3]);
        let received = [receipt("cb-1", ReceiptState::Delivered)];
        assert_eq!(sent.of(Query::ReceiptsTake, self.db.take_receipts(&received)).await.joined, 1);
        self.execute("UPDATE operator_messages SET receipt_due_at = '2020-01-01 00:00:00' WHERE provider_id = 'cb-2'")
            .await;
        assert_ne!(sent.of(Query::ReceiptsGiveUp, self.db.give_up_receipts()).await, 0);
    }

    async fn attempts(&self, sent: &mut Sent) {
        let due = sent.of(Query::CallbackDue, self.db.due_endpoints(0, 100)).await;
        assert_eq!(due.len(), 2);
        let wanted: Vec<_> = due.iter().map(|endpoint| (endpoint.row, 16)).collect();
        let claimed = sent.of(Query::CallbackClaim, self.db.claim_callbacks(&wanted, LEASE)).await;
        assert_eq!(claimed.len(), 10, "of five changes for each");
        let record = |claimed: &ClaimedCallback, end| CallbackRecord {
            claimed: claimed.clone(),
            duration: Duration::from_millis(7),
            status: Some(500),
            error: None,
            response: Vec::new(),
            end,
            was_failing: end == CallbackEnd::Done,
        };
        let (first, second): (Vec<_>, Vec<_>) = claimed.iter().partition(|event| event.endpoint == due[0].row);
        let records: Vec<_> = first[..4]
            .iter()
            .map(|event| record(event, CallbackEnd::Again(Some(HOUR))))
            .chain([record(first[4], CallbackEnd::Again(None)), record(second[0], CallbackEnd::Again(Some(HOUR)))])
            .collect();
        let recorded = sent.of(Query::CallbackRecord, self.db.record_callbacks(&records)).await;
        assert_eq!(recorded.paused, 1);
        let records = [record(second[1], CallbackEnd::Done), record(second[2], CallbackEnd::Gone(None))];
        let recorded = sent.of(Query::CallbackRecord, self.db.record_callbacks(&records)).await;
        assert_eq!(recorded.disabled.len(), 1);
        let worked = [record(second[3], CallbackEnd::Done)];
        self.execute("UPDATE callback_endpoints SET enabled = TRUE, failures = 1 WHERE customer_id = 7").await;
        sent.of(Query::CallbackRecord, self.db.record_callbacks(&worked)).await;
        self.execute("UPDATE callback_endpoints SET failures = 1 WHERE customer_id = 7").await;
        self.execute("UPDATE callback_events SET attempts = 0 WHERE status = 'sending' AND customer_id = 7").await;
        let asked_for = [record(second[3], CallbackEnd::Done), record(second[4], CallbackEnd::Again(Some(HOUR)))];
        sent.of(Query::CallbackRecord, self.db.record_callbacks(&asked_for)).await;
    }

    async fn requests(&self, sent: &mut Sent, endpoint: &EndpointId) {
        let test = sent.of(Query::CallbackTest, self.db.test_endpoint(customer(7), endpoint)).await.expect("is there");
        let filter = CallbackFilter {
            endpoint: Some(endpoint.clone()),
            status: Some(CallbackStatus::Pending),
            since: Some(DateTime::UNIX_EPOCH),
        };
        for filter in [CallbackFilter::default(), filter] {
            let page = sent.of(Query::CallbackEvents, self.db.callback_events(customer(7), &filter, None, 2)).await;
            sent.of(Query::CallbackEvents, self.db.callback_events(customer(7), &filter, page.next, 2)).await;
        }
        let attempts = sent.of(Query::CallbackAttempts, self.db.callback_attempts(customer(7), &test)).await;
        assert_eq!(attempts, Some(Vec::new()));
        assert_eq!(sent.of(Query::CallbackResend, self.db.resend_callback(customer(7), &test)).await, Resent::Due);
        self.execute("UPDATE callback_events SET status = 'sending' WHERE type = 'endpoint.test'").await;
        assert_eq!(sent.of(Query::CallbackResend, self.db.resend_callback(customer(7), &test)).await, Resent::Due);
        self.execute("UPDATE callback_events SET status = 'pending' WHERE type = 'endpoint.test'").await;
        let nobodys = CallbackEventId::from_uuid(Uuid::now_v7());
        sent.of(Query::CallbackResend, self.db.resend_callback(customer(7), &nobodys)).await;
        self.execute("UPDATE callback_events SET status = 'failed' WHERE customer_id = 7 AND attempts > 0").await;
        let until: DateTime<Utc> = "2100-01-01T00:00:00Z".parse().expect("a time");
        let window = (DateTime::UNIX_EPOCH, until);
        let recovered = self.db.recover_callbacks(customer(7), endpoint, window);
        assert_eq!(sent.of(Query::CallbackRecover, recovered).await, Some(5));
    }

    async fn sweeps(&self, sent: &mut Sent) {
        for statement in [
            "UPDATE callback_events SET status = 'sending', next_run_at = '2020-01-01' WHERE id % 40 = 1",
            "UPDATE callback_events SET status = 'pending', next_run_at = '2020-01-01' WHERE id % 40 = 3",
            "UPDATE callback_events SET next_run_at = '2020-01-01' WHERE id % 40 = 5",
            "UPDATE callback_attempts SET at = '2020-01-01' WHERE id % 40 = 7",
        ] {
            self.execute(statement).await;
        }
        for after in [Some(CallbackPlace(DateTime::UNIX_EPOCH.naive_utc(), 0)), None] {
            sent.of(Query::CallbackExpire, self.db.cancel_orphaned_callbacks(after)).await;
            self.execute("UPDATE callback_events SET status = 'pending' WHERE id % 40 = 3").await;
        }
        sent.of(Query::CallbackCount, self.db.due_callbacks(100)).await;
        let lags = sent.of(Query::CallbackLag, self.db.callback_lags()).await;
        assert!(lags.working.is_some(), "{lags:?}");
        assert_ne!(sent.of(Query::CallbackRescue, self.db.rescue_callbacks()).await, 0);
        assert_ne!(sent.of(Query::CallbackExpire, self.db.expire_callbacks()).await, 0);
        assert_ne!(sent.of(Query::CallbackPurge, self.db.purge_callbacks()).await, 0);
    }
}
