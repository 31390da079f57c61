//! The embedded database after a crash.

use domain::Lane;
use persistence::{ClaimToken, Outcome, Settlement};

use crate::support::{Fixture, LEASE, request};

#[tokio::test]
async fn an_embedded_crash_loses_nothing() {
    let f = Fixture::sqlite().await;
    f.fund(1, 100).await;
    let (waiting, claimed, published, sending, done) = (1, 2, 3, 4, 5);
    let sent: Vec<_> = (waiting..=done).map(|n| request(1, &[&format!("10{n}")])).collect();
    f.db.accept(&sent).await.expect("accepts");
    let token = ClaimToken::unique();
    f.execute("UPDATE outbox_events SET priority = 10 WHERE id > 1").await;
    let events = f.db.claim_events(Lane::Express, 10, LEASE, &token).await.expect("claims");
    let ids: Vec<_> = events.iter().skip(1).map(|event| event.id).collect();
    assert_eq!(f.db.mark_processed(&ids, &token).await.expect("records"), 3);
    f.begin(&sent[sending - 1]).await;
    let finished = f.begin(&sent[done - 1]).await;
    let outcome = Outcome::Done { provider: "operatorA".to_owned() };
    f.db.settle(&[Settlement::new(&finished[0], outcome)]).await.expect("settles");

    let restarted = f.db.recover_embedded().await.expect("recovers");

    assert_eq!(restarted, u64::try_from([claimed, published, sending].len()).expect("small"));
    assert_eq!(
        f.strings("SELECT status FROM outbox_events ORDER BY id").await,
        ["pending", "pending", "pending", "pending", "processed"]
    );
    assert!(f.begin(&sent[sending - 1]).await[0].resumed.is_some());
    f.remove().await;
}
