//! A database with a backlog, on which every operation is run once.

use std::time::Duration;

use domain::{
    ApiKey, ClientReference, DeliveryStatus, Encoding, Grant, IdempotencyKey, KeyName, Lane, MessageId, MessageStatus,
    Owner, Scope, Scopes, SegmentCount, Sender, Turn,
};
use rand::{SeedableRng as _, rngs::StdRng};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use test_support::TestDatabase;
use uuid::Uuid;

use super::{Sent, life_receipts::called};
use crate::{
    AcceptRequest, ClaimToken, ClaimedRecipient, Cursor, Database, DatabaseConfig, Deferral, Deferred, HeldOutcome,
    HistoryFilter, IdempotentRequest, NewKey, Outcome, PutOff, Query, Reader, Settlement, StateWrite,
    samples::{begin_request, customer, request, top_up},
};

pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// A database after a while of work.
pub(super) struct Life {
    pub(super) sql: DatabaseConnection,
    pub(super) server: TestDatabase,
    pub(super) db: Database,
}

impl Life {
    /// Sixty customers with an account, and two thousand messages in all states.
    pub(super) async fn begin() -> Self {
        let server = TestDatabase::create(&test_support::database_url()).await;
        let mut config = DatabaseConfig::new(server.url().to_owned().into());
        config.operation_timeout = MINUTE;
        let db = Database::open(config).await.expect("the URL is accepted");
        db.migrate().await.expect("migrates");
        db.refresh_callback_customers().await.expect("there are none");
        let sql = sea_orm::Database::connect(server.url()).await.expect("connects");
        for user in 1..=60 {
            db.top_up(&top_up(user)).await.expect("adds");
        }
        for _ in 0..20 {
            let sent: Vec<_> = (1..=100).map(|n| request(1 + n % 60)).collect();
            db.accept(&sent).await.expect("accepts");
        }
        let life = Self { sql, server, db };
        for statement in [
            "UPDATE outbox_events SET status = 'processed', next_run_at = UTC_TIMESTAMP(6) WHERE id % 2 = 0",
            "UPDATE outbox_events SET next_run_at = UTC_TIMESTAMP(6) WHERE id % 20 = 1",
            "UPDATE message_status SET status = 'done' WHERE id % 10 <> 0",
            "INSERT INTO user_transactions (user_id, amount, transaction_type, transaction_id)
             SELECT a.user_id, 1, 'deposit', UUID() FROM user_balances AS a, user_balances AS b",
            // Enough that no optimiser takes a table for one to be read as a whole.
            "INSERT INTO message_status (user_id, status, type, recipient, message_identifier, price, transaction_id)
             SELECT a.user_id, 'done', a.type, a.recipient, UUID(), a.price, a.transaction_id
             FROM message_status AS a JOIN (SELECT 1 FROM user_balances LIMIT 5) AS times",
            "INSERT INTO operator_messages (operator, provider_id, message_row) SELECT 'operator', id, id FROM outbox_events",
            "INSERT INTO receipts (operator, provider_id, state, digest)
             SELECT IF(id % 2, 'operator', 'other'), CONCAT('lost-', id), 'delivered', RPAD(id, 32, 'x') FROM outbox_events",
            "INSERT INTO user_balances (user_id, balance) SELECT 1000 + id, 0 FROM outbox_events",
            "INSERT INTO idempotency_keys (customer_id, route, idempotency_key, fingerprint, response)
             SELECT 1000 + id, 'messages.send', aggregate_id, REPEAT('a', 64), aggregate_id FROM outbox_events",
            "ANALYZE TABLE outbox_events, message_status, user_transactions, user_balances, idempotency_keys, operator_messages, receipts",
        ] {
            life.execute(statement).await;
        }
        life
    }

    pub(super) async fn end(self) {
        self.db.close().await;
        self.sql.close().await.expect("closes");
        self.server.drop().await.expect("the database is dropped");
    }

    /// Runs every operation.
    pub(super) async fn live(&self) -> Sent {
        let mut sent = Sent::default();
        self.schema(&mut sent).await;
        self.money(&mut sent).await;
        self.listing(&mut sent).await;
        self.details(&mut sent).await;
        self.tenants(&mut sent).await;
        self.backlog(&mut sent).await;
        self.claims(&mut sent).await;
        self.delivery(&mut sent).await;
        self.receipts(&mut sent).await;
        self.timed(&mut sent).await;
        self.callbacks(&mut sent).await;
        self.late(&mut sent).await;
        self.housekeeping(&mut sent).await;
        sent
    }

    /// What accepting one request sends that says no more than what every one says.
    pub(super) async fn plain_accept(&self) -> Vec<String> {
        let mut sent = Sent::default();
        sent.of(Query::Accept, self.db.accept(&[request(1)])).await;
        let statements = sent.0.remove(&Query::Accept).unwrap_or_default();
        statements.into_iter().map(|statement| statement.sql).collect()
    }

    pub(super) async fn execute(&self, statement: &str) {
        self.sql.execute_unprepared(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    async fn schema(&self, sent: &mut Sent) {
        // Looks at the schema again and again, and never returns.
        let looks = Box::pin(tokio::time::timeout(Duration::from_millis(500), self.db.clone().prepare(false)));
        sent.of(Query::Schema, async { Ok(looks.await) }).await.expect_err("it goes on");
        sent.of(Query::Ping, async { Ok(self.db.readiness().await) }).await;
    }

    async fn money(&self, sent: &mut Sent) {
        let mut paid = top_up(1);
        paid.idempotency = Some(key("pay"));
        sent.of(Query::TopUp, self.db.top_up(&paid)).await;
        sent.of(Query::TopUp, self.db.top_up(&top_up(61))).await;
        let mut keyed = request(1);
        keyed.idempotency = Some(key("send"));
        sent.of(Query::Accept, self.db.accept(&[keyed.clone(), request(2), request(3)])).await;
        self.execute("UPDATE idempotency_keys SET created_at = '2020-01-01 00:00:00' WHERE customer_id < 1000").await;
        let again = AcceptRequest { idempotency: keyed.idempotency, ..request(1) };
        sent.of(Query::Accept, self.db.accept(&[again])).await;
        sent.of(Query::LedgerAudit, self.db.audit_ledger(Some(10), 5)).await;
        sent.of(Query::LedgerAuditNext, self.db.user_after(Some(10))).await;
    }

    async fn listing(&self, sent: &mut Sent) {
        let (_, first) = sent.of(Query::Account, self.db.account(customer(7), None, 5)).await;
        sent.of(Query::Account, self.db.account(customer(7), first.next, 5)).await;
        sent.of(Query::Account, self.db.account(customer(99), None, 5)).await;
        sent.of(Query::Balance, self.db.balance(customer(7))).await;
        let own = Reader::Customer(customer(7));
        for reader in [Reader::Staff, own] {
            for status in [None, Some(MessageStatus::Done)] {
                let mut filter = HistoryFilter { status, ..HistoryFilter::of(reader) };
                let page = sent.of(Query::History, self.db.history(&filter, 2)).await;
                filter.cursor = page.next;
                sent.of(Query::History, self.db.history(&filter, 2)).await;
            }
        }
        let message_id = Some(MessageId::from_uuid(Uuid::now_v7()));
        let cursor = Some(Cursor::parse("64484c7271240-ffff").expect("a cursor"));
        for filter in [
            HistoryFilter { message_id: message_id.clone(), ..HistoryFilter::of(Reader::Staff) },
            HistoryFilter { message_id, cursor, ..HistoryFilter::of(own) },
            HistoryFilter { delivery_status: Some(DeliveryStatus::Delivered), ..HistoryFilter::of(own) },
        ] {
            sent.of(Query::History, self.db.history(&filter, 2)).await;
        }
    }

    /// Messages whose requests said more, and what is asked of them.
    async fn details(&self, sent: &mut Sent) {
        let messages: Vec<_> = (0..4).map(|_| detailed(7)).collect();
        sent.of(Query::Accept, self.db.accept(&messages)).await;
        let reference = reference();
        let own = Reader::Customer(customer(7));
        let mut filter = HistoryFilter::of(own);
        let page = sent.of(Query::History, self.db.history_of_reference(customer(7), &reference, &filter, 2)).await;
        assert_eq!(page.entries.iter().filter(|entry| entry.extra.is_some()).count(), 2);
        filter.cursor = page.next;
        filter.message_id = Some(messages[0].payload.message.message_identifier.clone());
        let page = sent.of(Query::History, self.db.history_of_reference(customer(7), &reference, &filter, 2)).await;
        assert_eq!(page.entries.len(), 1);
        let id = &messages[0].payload.message.message_identifier;
        for (reader, cursor) in [(Reader::Staff, None), (own, None), (own, filter.cursor)] {
            let found = sent.of(Query::Message, self.db.message(reader, id, cursor, 2)).await;
            assert!(found.is_some());
        }
        sent.of(Query::MessageCharged, self.db.charged(own, id)).await;
    }

    async fn tenants(&self, sent: &mut Sent) {
        let owner = Owner::Tenant(customer(7));
        let mut random = StdRng::seed_from_u64(1);
        let mut new = |owner: Owner| {
            let key = ApiKey::generate(owner.key_kind(), &mut random);
            let grant = Grant::new(owner, Scopes::of(&[Scope::Send])).expect("may have it");
            NewKey::new(Uuid::now_v7(), &key, grant, KeyName::parse("shop".to_owned()).expect("a name"))
        };
        let key = new(owner);
        for owner in (100..300).map(|user| Owner::Tenant(customer(user))).chain([Owner::Platform]) {
            self.db.issue_key(&new(owner)).await.expect("stores");
        }
        self.execute("ANALYZE TABLE api_keys").await;
        sent.of(Query::KeyIssue, self.db.issue_key(&key)).await;
        let found = sent.of(Query::KeyFind, self.db.find_key(&key.hash)).await.expect("was stored");
        let make = |kind| ApiKey::generate(kind, &mut StdRng::seed_from_u64(2));
        sent.of(Query::KeyRotate, self.db.rotate_key(key.id, Uuid::now_v7(), MINUTE, make)).await;
        sent.of(Query::KeyTouch, self.db.touch_keys(&[found.row])).await;
        for whose in [Reader::Staff, Reader::Customer(customer(7))] {
            let page = sent.of(Query::KeyList, self.db.keys(whose, None, 1)).await;
            sent.of(Query::KeyList, self.db.keys(whose, page.next, 1)).await;
        }
        sent.of(Query::KeyAdmin, self.db.has_admin_key()).await;
        assert!(sent.of(Query::KeyRevoke, self.db.revoke_key(key.id)).await);
        let sender = Sender::parse("BANK".to_owned()).expect("a sender");
        for user in 1..=200 {
            self.db.register_sender(customer(user), &sender).await.expect("stores");
        }
        self.execute("ANALYZE TABLE customer_senders").await;
        sent.of(Query::SenderRegister, self.db.register_sender(customer(7), &sender)).await;
        assert!(sent.of(Query::SenderCheck, self.db.is_registered(customer(7), &sender)).await);
        for whose in [Reader::Staff, Reader::Customer(customer(7))] {
            let page = sent.of(Query::SenderList, self.db.senders(whose, None, 1)).await;
            sent.of(Query::SenderList, self.db.senders(whose, page.next, 1)).await;
        }
        assert!(sent.of(Query::SenderRemove, self.db.remove_sender(customer(7), &sender)).await);
    }

    async fn backlog(&self, sent: &mut Sent) {
        let lane = Lane::Normal;
        sent.of(Query::OutboxPending, self.db.pending_events(lane, 100)).await;
        sent.of(Query::OutboxPublished, self.db.published_events(lane, MINUTE, 100)).await;
        sent.of(Query::OutboxTurn, self.db.turn_of(lane)).await;
        sent.of(Query::OutboxPeek, self.db.has_waiting(lane)).await;
        sent.of(Query::OutboxOldest, self.db.oldest_waiting(lane, 100)).await;
    }

    async fn claims(&self, sent: &mut Sent) {
        // Before all others in their lane.
        let first: Vec<_> = (1..=8).map(|user| AcceptRequest { turn: Turn::from_stored(1), ..request(user) }).collect();
        self.db.accept(&first).await.expect("accepts");
        let token = ClaimToken::unique();
        let events = sent.of(Query::OutboxClaim, self.db.claim_events(Lane::Normal, 8, LEASE, &token)).await;
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        sent.of(Query::OutboxProcessed, self.db.mark_processed(&ids[..4], &token)).await;
        sent.of(Query::OutboxRelease, self.db.release_events(&ids[4..5], &token)).await;
        sent.of(Query::OutboxRetry, self.db.retry_event_later(ids[5], &token, MINUTE, "no route")).await;
        sent.of(Query::OutboxPutOff, self.db.put_off_unknown(&ids[6..7], &token, MINUTE)).await;
        let failed = sent.of(Query::OutboxFail, self.db.fail_event(ids[7], &token, "no route")).await;
        assert_eq!(failed, Some(1), "with its refund");
        let held = sent.of(Query::OutboxClaim, self.db.hold_events(Lane::Normal, 8)).await.expect("some wait");
        let ids: Vec<_> = held.events().iter().map(|event| event.id).collect();
        let outcome = HeldOutcome {
            published: ids[..4].to_vec(),
            later: vec![(ids[5], MINUTE, "no route".to_owned())],
            unknown: Some((ids[6..7].to_vec(), MINUTE)),
            to_give_up: Some((ids[7..].to_vec(), token, MINUTE)),
        };
        sent.of(Query::OutboxProcessed, held.record(&self.db, &outcome)).await;
    }

    async fn delivery(&self, sent: &mut Sent) {
        let messages: Vec<_> = (1..=3).map(request).collect();
        self.db.accept(&messages).await.expect("accepts");
        self.execute("UPDATE outbox_events SET status = 'processed' ORDER BY id DESC LIMIT 3").await;
        let wanted: Vec<_> = messages.iter().map(begin_request).collect();
        let begun = sent.of(Query::BeginSending, self.db.begin_sending(&wanted, LEASE)).await;
        sent.of(Query::BeginSending, self.db.finished_recipients(&wanted[0].message_id)).await;
        let claimed: Vec<_> = begun.into_iter().flat_map(|begin| begin.claimed).collect();
        // They are busy now; then others have left them.
        sent.of(Query::BeginSending, self.db.begin_sending(&wanted, LEASE)).await;
        let left = request(4);
        self.db.accept(std::slice::from_ref(&left)).await.expect("accepts");
        self.execute("UPDATE message_status SET status = 'sending' ORDER BY id DESC LIMIT 1").await;
        sent.of(Query::BeginSending, self.db.begin_sending(&[begin_request(&left)], LEASE)).await;
        let provider = || "operator".to_owned();
        let settlements = [
            Settlement::new(&claimed[0], Outcome::Done { provider: provider() }).called(called("X-1")),
            Settlement::new(&claimed[1], Outcome::Failed { provider: provider() }),
        ];
        let recorded = sent.of(Query::Settle, self.db.settle(&settlements)).await;
        assert_eq!(recorded, [true, true]);
        let again = sent.of(Query::Settle, self.db.settle(&settlements)).await;
        assert_eq!(again, [false, false]);
        self.full_batch(sent).await;
        let more: Vec<_> = (1..=2).map(request).collect();
        self.db.accept(&more).await.expect("accepts");
        let taken = self.db.begin_sending(&[begin_request(&more[0])], LEASE).await.expect("takes").remove(0).claimed;
        let mixed = [
            StateWrite::Settle(vec![Settlement::new(&taken[0], Outcome::Done { provider: provider() })]),
            StateWrite::Begin(begin_request(&more[1])),
        ];
        sent.of(Query::WriteStates, self.db.write_states(&mixed, LEASE)).await;
        for _ in 0..2 {
            // The second time it is scheduled already.
            let defer = self.db.defer(&wanted[2].message_id, deferral(&claimed[2..], &[]));
            assert_eq!(sent.of(Query::Defer, defer).await, Deferred::Scheduled);
        }
    }

    /// As many recipients as one transaction takes and settles at most.
    async fn full_batch(&self, sent: &mut Sent) {
        let messages: Vec<_> = (0..512).map(|n| request(1 + n % 60)).collect();
        self.db.accept(&messages).await.expect("accepts");
        let wanted: Vec<_> = messages.iter().map(begin_request).collect();
        let begun = sent.of(Query::BeginSending, self.db.begin_sending(&wanted, LEASE)).await;
        let done = || Outcome::Done { provider: "operator".to_owned() };
        let settled: Vec<_> =
            begun.iter().flat_map(|begin| &begin.claimed).map(|claimed| Settlement::new(claimed, done())).collect();
        assert_eq!(sent.of(Query::Settle, self.db.settle(&settled)).await, vec![true; 512]);
    }

    async fn housekeeping(&self, sent: &mut Sent) {
        for statement in [
            "UPDATE outbox_events SET status = 'processing' WHERE status = 'pending' AND id % 10 = 3",
            "UPDATE outbox_events SET turn = -1 - turn WHERE status = 'pending' AND next_run_at IS NOT NULL AND id % 60 = 1",
            "UPDATE outbox_events SET event_type = 'message.cancel' WHERE id % 120 = 1",
            "UPDATE outbox_events SET next_run_at = '2020-01-01 00:00:00' WHERE status = 'processed' AND id % 10 = 0",
            "UPDATE outbox_events SET next_run_at = NULL WHERE status = 'processed' AND id % 10 = 2",
            "UPDATE message_status SET created_at = '2020-01-01 00:00:00' WHERE id % 10 = 0",
        ] {
            self.execute(statement).await;
        }
        assert_ne!(sent.of(Query::OutboxRescue, self.db.rescue_expired_claims()).await, 0);
        assert_ne!(sent.of(Query::OutboxPromote, self.db.promote_due_events()).await, 0);
        let promoted = sent.of(Query::OutboxPromote, self.db.promote_out_of_line(MINUTE)).await;
        assert!(promoted.claimable > 0 && !promoted.unknown_kinds.is_empty(), "{promoted:?}");
        self.execute("DELETE FROM sweep_progress WHERE task = 'stuck_express'").await;
        assert_ne!(sent.of(Query::OutboxRepublish, self.db.republish_stuck(MINUTE)).await.republished, 0);
        self.execute("UPDATE message_status SET status = 'done'").await;
        self.execute("UPDATE outbox_events SET status = 'processed', next_run_at = '2020-01-01' WHERE id % 9 = 0")
            .await;
        assert_ne!(sent.of(Query::OutboxPurge, self.db.purge_processed_events(MINUTE)).await, 0);
        assert_ne!(sent.of(Query::IdempotencyPurge, self.db.purge_idempotency_keys()).await, 0);
        self.execute("UPDATE operator_messages SET created_at = '2020-01-01 00:00:00' WHERE id % 50 = 0").await;
        assert_ne!(sent.of(Query::OperatorMessagesPurge, self.db.purge_operator_messages()).await, 0);
        sent.of(Query::RecoverEmbedded, self.db.recover_embedded()).await;
        // What is claimed is explained below as it is found in work: beside other claims.
        self.db.claim_events(Lane::Normal, 200, LEASE, &ClaimToken::unique()).await.expect("claims");
    }
}

/// Put off for a minute.
pub(super) fn deferral(maybe_taken: &[ClaimedRecipient], untaken: &[ClaimedRecipient]) -> Deferral {
    Deferral { maybe_taken: maybe_taken.to_vec(), untaken: untaken.to_vec(), put_off: PutOff::by(MINUTE) }
}

fn reference() -> ClientReference {
    ClientReference::parse("order-4711".to_owned()).expect("a reference")
}

/// A message whose request said more.
pub(super) fn detailed(user: i64) -> AcceptRequest {
    let mut request = request(user);
    request.payload.message.from = Some(Sender::parse("BANK".to_owned()).expect("a sender"));
    request.payload.message.encoding = Some(Encoding::Gsm7);
    AcceptRequest { segments: Some(SegmentCount::ONE), client_reference: Some(reference()), ..request }
}

fn key(key: &str) -> IdempotentRequest {
    IdempotentRequest {
        key: IdempotencyKey::parse(key.as_bytes()).expect("a valid key"),
        fingerprint: format!("{:0>64}", "a"),
    }
}
