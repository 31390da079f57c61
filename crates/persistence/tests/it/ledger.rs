//! Top-ups and the account view.

use domain::{Balance, LedgerKind, money::MAX_BALANCE, money::MAX_TOP_UP};
use persistence::{
    Stored,
    TopUpOutcome::{Added, KeyReused, Replayed, TooMuch},
};

use crate::support::{Fixture, customer, idempotent, request, top_up};

pub(crate) async fn a_top_up_creates_the_balance(f: &Fixture) {
    let (balance, page) = f.db.account(customer(5), None, 10).await.expect("reads");
    assert_eq!((balance.get(), page.entries.len()), (0, 0));
    let first = top_up(5, 100);
    let outcome = f.db.top_up(&first).await.expect("adds");
    assert_eq!(outcome, Added(Balance::from_stored(100), first.transaction_id.clone()));
    f.fund(5, 20).await;
    let (balance, page) = f.db.account(customer(5), None, 10).await.expect("reads");
    assert_eq!(balance.get(), 120);
    let entries: Vec<_> = page.entries.iter().map(|entry| (entry.amount, entry.kind.clone())).collect();
    assert_eq!(entries, [(20, Stored::Known(LedgerKind::Deposit)), (100, Stored::Known(LedgerKind::Deposit))]);
    assert_eq!(page.entries[1].transaction_id, Stored::Known(first.transaction_id.clone()));
    f.assert_conserved().await;
}

pub(crate) async fn a_top_up_never_passes_the_limit(f: &Fixture) {
    f.fund(1, 1).await;
    f.execute(&format!("UPDATE user_balances SET balance = {}", MAX_BALANCE - MAX_TOP_UP + 1)).await;
    assert_eq!(f.db.top_up(&top_up(1, MAX_TOP_UP)).await.expect("answers"), TooMuch);
    assert_eq!(f.number("SELECT COUNT(*) FROM user_transactions").await, 1);
    assert!(matches!(f.db.top_up(&top_up(1, MAX_TOP_UP - 1)).await.expect("answers"), Added(..)));
    assert_eq!(f.balance(1).await, MAX_BALANCE);
}

pub(crate) async fn a_repeated_top_up_adds_once(f: &Fixture) {
    let mut first = top_up(1, 100);
    first.idempotency = Some(idempotent("pay-1", "a"));
    let mut again = top_up(1, 100);
    again.idempotency = Some(idempotent("pay-1", "a"));
    let mut other = top_up(1, 200);
    other.idempotency = Some(idempotent("pay-1", "b"));
    f.db.top_up(&first).await.expect("adds");
    f.fund(1, 5).await;
    let replayed = f.db.top_up(&again).await.expect("answers");
    assert_eq!(replayed, Replayed(Balance::from_stored(100), first.transaction_id.clone()));
    assert_eq!(f.db.top_up(&other).await.expect("answers"), KeyReused);
    assert_eq!(f.balance(1).await, 105);
}

pub(crate) async fn first_top_ups_at_once_all_count(f: &Fixture) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let db = f.db.clone();
        tasks.spawn(async move { db.top_up(&top_up(9, 3)).await });
    }
    for outcome in tasks.join_all().await {
        assert!(matches!(outcome.expect("adds"), Added(..)));
    }
    assert_eq!(f.balance(9).await, 48);
    f.assert_conserved().await;
}

pub(crate) async fn the_account_agrees_with_itself_under_writes(f: &Fixture) {
    f.fund(1, 100).await;
    let mut writer = tokio::task::JoinSet::new();
    let db = f.db.clone();
    writer.spawn(async move {
        for _ in 0..40 {
            db.accept(&[request(1, &["111"])]).await.expect("accepts");
        }
    });
    loop {
        let (balance, page) = f.db.account(customer(1), None, 500).await.expect("reads");
        assert_eq!(page.entries.iter().map(|entry| entry.amount).sum::<i64>(), balance.get());
        if let Some(written) = writer.try_join_next() {
            break written.expect("the writer succeeds");
        }
    }
}

pub(crate) async fn entries_are_paged_without_gaps(f: &Fixture) {
    for credits in 1..=7 {
        f.fund(1, credits).await;
    }
    f.execute("UPDATE user_transactions SET created_at = '2026-01-01 00:00:00.000' WHERE amount < 6").await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let (_, page) = f.db.account(customer(1), cursor, 2).await.expect("reads");
        seen.extend(page.entries.iter().map(|entry| entry.amount));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}
