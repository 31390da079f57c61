//! Accepting: charges, rows, keys.

use domain::MessageType;
use persistence::AcceptOutcome::{Accepted, InsufficientBalance, KeyReused, Replayed};

use crate::support::{Fixture, message_id, message_of, request, typed_request, with_key};

pub(crate) async fn an_accepted_request_is_charged_and_stored(f: &Fixture) {
    f.fund(7, 10).await;
    let sent = typed_request(7, &["111", "222"], MessageType::Express, "hi");
    assert_eq!(f.accept_one(sent.clone()).await, Accepted(message_id(&sent).clone()));
    assert_eq!(f.balance(7).await, 4);
    assert_eq!(f.statuses(message_id(&sent)).await, ["111 pending ", "222 pending "]);
    let charge = f.number("SELECT amount FROM user_transactions WHERE transaction_type = 'withdrawal'").await;
    assert_eq!(charge, -6);
    let event = format!(
        "SELECT COUNT(*) FROM outbox_events WHERE aggregate_id = '{}' AND aggregate_type = 'message'
            AND event_type = 'message.send' AND status = 'pending' AND priority = 10 AND lane = 1 AND attempts = 0",
        message_id(&sent)
    );
    assert_eq!(f.number(&event).await, 1);
    f.assert_conserved().await;
}

pub(crate) async fn what_the_balance_does_not_cover_leaves_no_trace(f: &Fixture) {
    f.fund(1, 1).await;
    assert_eq!(f.accept_one(request(1, &["111", "222"])).await, InsufficientBalance);
    assert_eq!(f.accept_one(request(2, &["111"])).await, InsufficientBalance);
    assert_eq!(f.balance(1).await, 1);
    for table in ["message_status", "outbox_events", "idempotency_keys"] {
        assert_eq!(f.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
    f.assert_conserved().await;
}

pub(crate) async fn requests_of_a_batch_spend_in_the_order_they_came(f: &Fixture) {
    f.fund(1, 3).await;
    f.fund(2, 1).await;
    let batch = [
        request(1, &["111", "222"]),
        request(1, &["111", "222"]), // 1 credit is left: refused, and its neighbours are not
        request(2, &["333"]),
        request(3, &["333"]),
        request(1, &["444"]),
    ];
    let outcomes = f.db.accept(&batch).await.expect("the batch is stored");
    let accepted: Vec<bool> = outcomes.iter().map(|outcome| matches!(outcome, Accepted(_))).collect();
    assert_eq!(accepted, [true, false, true, false, true]);
    assert_eq!((f.balance(1).await, f.balance(2).await), (0, 0));
    f.assert_conserved().await;
}

pub(crate) async fn concurrent_batches_never_overspend(f: &Fixture) {
    for user in 1..=3 {
        f.fund(user, 50).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let db = f.db.clone();
        tasks.spawn(async move {
            let mut accepted = 0;
            for _ in 0..4 {
                // Users in another order than their ids: locks must not follow the order of arrival.
                let batch: Vec<_> = [3, 1, 2, 1, 3].iter().map(|user| request(*user, &["111"])).collect();
                let outcomes = db.accept(&batch).await.expect("the batch is stored");
                accepted += outcomes.iter().filter(|outcome| matches!(outcome, Accepted(_))).count();
            }
            accepted
        });
    }
    let accepted: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(accepted, 150);
    assert_eq!(f.number("SELECT SUM(balance) = 0 AND MIN(balance) = 0 FROM user_balances").await, 1);
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status").await, 150);
    f.assert_conserved().await;
}

pub(crate) async fn a_thousand_recipients_fit(f: &Fixture) {
    f.fund(1, 3000).await;
    let numbers: Vec<String> = (0..1000).map(|n| format!("{n:05}")).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let batch = [request(1, &numbers), request(1, &numbers), request(1, &numbers)];
    assert_eq!(f.db.accept(&batch).await.expect("the batch is stored").len(), 3);
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status").await, 3000);
    assert_eq!(f.balance(1).await, 0);
}

pub(crate) async fn the_same_key_replays_the_first_answer(f: &Fixture) {
    f.fund(1, 10).await;
    let first = with_key(request(1, &["111"]), "order-1", "a");
    let again = with_key(request(1, &["111"]), "order-1", "a");
    assert_eq!(f.accept_one(first.clone()).await, Accepted(message_id(&first).clone()));
    assert_eq!(f.accept_one(again).await, Replayed(message_id(&first).clone()));
    assert_eq!(f.balance(1).await, 9);
    assert_eq!(f.number("SELECT COUNT(*) FROM outbox_events").await, 1);
}

pub(crate) async fn a_key_with_another_request_is_told_apart(f: &Fixture) {
    f.fund(1, 10).await;
    f.accept_one(with_key(request(1, &["111"]), "order-1", "a")).await;
    assert_eq!(f.accept_one(with_key(request(1, &["222"]), "order-1", "b")).await, KeyReused);
    assert_eq!(f.balance(1).await, 9);
}

pub(crate) async fn keys_of_a_batch_see_each_other(f: &Fixture) {
    f.fund(1, 10).await;
    let first = with_key(request(1, &["111"]), "k", "a");
    let batch = [first.clone(), with_key(request(1, &["111"]), "k", "a"), with_key(request(1, &["222"]), "k", "b")];
    let id = message_id(&first).clone();
    let outcomes = f.db.accept(&batch).await.expect("the batch is stored");
    assert_eq!(outcomes, [Accepted(id.clone()), Replayed(id), KeyReused]);
    assert_eq!(f.balance(1).await, 9);
}

pub(crate) async fn a_refused_request_leaves_its_key_free(f: &Fixture) {
    f.fund(1, 1).await;
    assert_eq!(f.accept_one(with_key(request(1, &["111", "222"]), "k", "a")).await, InsufficientBalance);
    f.fund(1, 1).await;
    assert!(matches!(f.accept_one(with_key(request(1, &["111", "222"]), "k", "a")).await, Accepted(_)));
}

pub(crate) async fn a_key_belongs_to_its_customer_and_case(f: &Fixture) {
    f.fund(1, 10).await;
    f.fund(2, 10).await;
    for sent in [(1, "key"), (2, "key"), (1, "KEY")] {
        let outcome = f.accept_one(with_key(request(sent.0, &["111"]), sent.1, "a")).await;
        assert!(matches!(outcome, Accepted(_)), "{sent:?}: {outcome:?}");
    }
}

pub(crate) async fn keys_end_after_24_hours(f: &Fixture) {
    f.fund(1, 10).await;
    f.accept_one(with_key(request(1, &["111"]), "k", "a")).await;
    f.execute("UPDATE idempotency_keys SET created_at = '2020-01-01 00:00:00'").await;
    assert!(matches!(f.accept_one(with_key(request(1, &["222"]), "k", "b")).await, Accepted(_)));
    assert!(matches!(f.accept_one(with_key(request(1, &["222"]), "k", "b")).await, Replayed(_)));
    assert_eq!(f.balance(1).await, 8);
}

pub(crate) async fn what_one_request_of_a_batch_lacks_another_may_have(f: &Fixture) {
    f.fund(1, 10).await;
    let plain = plain_with_text("a");
    let traced = persistence::AcceptRequest { traceparent: Some("00-a-b-01".to_owned()), ..plain_with_text("b") };
    let outcomes = f.db.accept(&[plain, traced, plain_with_text("c")]).await.expect("stored");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Accepted(_))), "{outcomes:?}");
    let stored = f.strings("SELECT COALESCE(traceparent, 'none') FROM outbox_events ORDER BY id").await;
    assert_eq!(stored, ["none", "00-a-b-01", "none"]);
}

fn plain_with_text(text: &str) -> persistence::AcceptRequest {
    typed_request(1, &["111"], MessageType::Normal, text)
}

pub(crate) async fn odd_texts_are_stored(f: &Fixture) {
    f.fund(1, 10).await;
    for text in ["سلام", "😀🎉", "a\u{0}b", "'; DROP TABLE user_balances; --", "\u{202e}\\\"%_?"] {
        let sent = typed_request(1, &["111"], MessageType::Normal, text);
        assert!(matches!(f.accept_one(sent).await, Accepted(_)), "{text:?}");
    }
    let token = persistence::ClaimToken::unique();
    let events = f.db.claim_events(domain::Lane::Normal, 10, crate::support::LEASE, &token).await.expect("claims");
    let texts: Vec<_> = events.iter().map(|event| message_of(event).2.text).collect();
    assert_eq!(texts[2].as_str(), "a\u{0}b");
    assert_eq!(texts.len(), 5);
}
