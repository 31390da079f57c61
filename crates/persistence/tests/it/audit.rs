//! Comparing balances with their ledgers, and counting credits.

use domain::Lane;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use persistence::{AcceptOutcome, ClaimToken, LedgerSlice, Outcome, Settlement};

use crate::support::{Fixture, LEASE, begin_request, idempotent, request, top_up, with_key};

/// All slices of `limit` users: how many users they had, and the mismatches.
async fn audit(f: &Fixture, limit: u64) -> (u64, Vec<i64>) {
    let (mut users, mut mismatched, mut after) = (0, Vec::new(), None);
    loop {
        let slice = f.db.audit_ledger(after, limit).await.expect("reads");
        assert!(slice.users <= limit);
        users += slice.users;
        mismatched.extend(slice.mismatched);
        after = slice.next;
        if after.is_none() {
            return (users, mismatched);
        }
    }
}

pub(crate) async fn an_injected_mismatch_is_found_until_it_is_repaired(f: &Fixture) {
    assert_eq!(audit(f, 10).await, (0, vec![]));
    for user in 1..=7 {
        f.fund(user, 100).await;
        f.accept_one(request(user, &["111", "222"])).await;
    }
    assert_eq!(audit(f, 3).await, (7, vec![]));
    f.execute("UPDATE user_balances SET balance = balance + 1 WHERE user_id = 2").await;
    f.execute("UPDATE user_transactions SET amount = amount - 1 WHERE user_id = 5 AND amount > 0").await;
    f.execute("DELETE FROM user_transactions WHERE user_id = 7").await;
    for limit in [1, 3, 7, 100] {
        assert_eq!(audit(f, limit).await, (7, vec![2, 5, 7]), "in slices of {limit}");
    }
    f.execute("UPDATE user_balances SET balance = balance - 1 WHERE user_id = 2").await;
    f.execute("UPDATE user_transactions SET amount = amount + 1 WHERE user_id = 5 AND amount > 0").await;
    f.execute("UPDATE user_balances SET balance = 0 WHERE user_id = 7").await;
    assert_eq!(audit(f, 3).await, (7, vec![]));
}

pub(crate) async fn a_balance_without_a_ledger_is_a_mismatch_unless_it_is_empty(f: &Fixture) {
    f.execute("INSERT INTO user_balances (user_id, balance) VALUES (3, 50), (4, 0), (9, 1)").await;
    assert_eq!(audit(f, 2).await, (3, vec![3, 9]));
}

pub(crate) async fn slices_follow_each_other_by_user(f: &Fixture) {
    for user in [10, 30, 20] {
        f.fund(user, 1).await;
    }
    let slice = |users, next| LedgerSlice { users, mismatched: vec![], next };
    assert_eq!(f.db.audit_ledger(None, 2).await.expect("reads"), slice(2, Some(20)));
    assert_eq!(f.db.audit_ledger(Some(20), 2).await.expect("reads"), slice(1, None));
    assert_eq!(f.db.audit_ledger(Some(30), 2).await.expect("reads"), slice(0, None));
    for (after, next) in [(None, Some(10)), (Some(10), Some(20)), (Some(25), Some(30)), (Some(30), None)] {
        assert_eq!(f.db.user_after(after).await.expect("reads"), next);
    }
}

pub(crate) async fn writes_at_the_same_time_are_no_mismatch(f: &Fixture) {
    for user in 1..=3 {
        f.fund(user, 1_000).await;
    }
    let mut writers = tokio::task::JoinSet::new();
    for user in 1..=3 {
        let db = f.db.clone();
        writers.spawn(async move {
            for _ in 0..25 {
                db.top_up(&top_up(user, 3)).await.expect("adds");
                let sent = request(user, &["111", "222"]);
                db.accept(std::slice::from_ref(&sent)).await.expect("accepts");
                let begun = db.begin_sending(&[begin_request(&sent)], LEASE).await.expect("begins").remove(0);
                let failed = |one| Settlement::new(one, Outcome::Failed { provider: String::new() });
                db.settle(&begun.claimed.iter().map(failed).collect::<Vec<_>>()).await.expect("settles");
            }
        });
    }
    let mut audits = 0;
    loop {
        assert_eq!(audit(f, 2).await, (3, vec![]), "after {audits} audits");
        audits += 1;
        match writers.try_join_next() {
            Some(ended) => ended.expect("the writer succeeds"),
            None if writers.is_empty() => break,
            None => {}
        }
    }
    assert!(audits > 3, "it was audited while others wrote");
    f.assert_conserved().await;
}

/// The credits counted so far, of each type.
fn credits(handle: &PrometheusHandle) -> [i64; 3] {
    let text = handle.render();
    ["deposit", "withdrawal", "corrective"].map(|kind| {
        let series = format!(r#"ledger_credits_total{{type="{kind}"}} "#);
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0, |value| value.parse().expect("a number"))
    })
}

pub(crate) async fn committed_credits_are_counted_once(f: &Fixture) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // All of it is counted on this task's own thread.
    let _recorder = metrics::set_default_local_recorder(&recorder);

    let mut first = top_up(1, 100);
    first.idempotency = Some(idempotent("pay", "a"));
    f.db.top_up(&first).await.expect("adds");
    f.db.top_up(&first).await.expect("replays");
    assert_eq!(credits(&handle), [100, 0, 0]);

    let sent = with_key(request(1, &["111", "222", "333"]), "k", "a");
    let too_much = request(2, &["111"]);
    let outcomes = f.db.accept(&[sent.clone(), sent.clone(), too_much]).await.expect("answers");
    assert!(matches!(
        outcomes[..],
        [AcceptOutcome::Accepted(_), AcceptOutcome::Replayed(_), AcceptOutcome::InsufficientBalance]
    ));
    assert_eq!(credits(&handle), [100, 3, 0]);

    let claimed = f.begin(&sent).await;
    let failed = |one| Settlement::new(one, Outcome::Failed { provider: String::new() });
    let settlements = [
        failed(&claimed[0]),
        failed(&claimed[1]),
        Settlement::new(&claimed[2], Outcome::Done { provider: "operatorA".to_owned() }),
    ];
    assert_eq!(f.db.settle(&settlements).await.expect("settles"), [true; 3]);
    assert_eq!(f.db.settle(&settlements).await.expect("answers"), [false; 3]);
    assert_eq!(credits(&handle), [100, 3, 2]);

    f.accept_one(request(1, &["444"])).await;
    let token = ClaimToken::unique();
    let events = f.db.claim_events(Lane::Normal, 10, LEASE, &token).await.expect("claims");
    let given_up = events.last().expect("the last message's event");
    assert_eq!(f.db.fail_event(given_up.id, &token, "unroutable").await.expect("gives up"), Some(1));
    assert_eq!(f.db.fail_event(given_up.id, &token, "unroutable").await.expect("answers"), None);
    assert_eq!(credits(&handle), [100, 4, 3]);
    assert_eq!(f.balance(1).await, 100 - 4 + 3);
    f.assert_conserved().await;
}
