//! Migrations.

use domain::Lane;
use migrations::State;
use persistence::{BeginRequest, ClaimToken, Database, DatabaseConfig, Outcome, Readiness, Settlement};

use crate::support::{Fixture, LEASE, customer, message_of, request};

pub(crate) async fn operations_wait_for_the_schema(f: &Fixture) {
    let db = Database::open(DatabaseConfig::new(f.url.clone().into())).await.expect("opens");
    assert_eq!(db.readiness().await, Readiness::Unavailable);
    assert!(db.accept(&[request(1, &["111"])]).await.expect_err("not yet").is_unavailable());
    db.migrate().await.expect("migrates");
    assert_eq!(db.readiness().await, Readiness::Ok);
    db.close().await;
}

pub(crate) async fn migrating_twice_at_once_is_harmless(f: &Fixture) {
    migrations::down(&f.url, None).await.expect("goes back");
    let (one, two) = tokio::join!(migrations::up(&f.url), migrations::up(&f.url));
    one.expect("migrates");
    two.expect("migrates");
    assert!(migrations::status(&f.url).await.expect("reads").iter().all(|change| change.state == State::Applied));
    f.fund(1, 10).await;
}

pub(crate) async fn migrations_go_back_and_forth(f: &Fixture) {
    let count = u32::try_from(migrations::status(&f.url).await.expect("reads").len()).expect("few");
    for _ in 0..count {
        migrations::down(&f.url, Some(1)).await.expect("goes one back");
    }
    assert!(migrations::status(&f.url).await.expect("reads").iter().all(|change| change.state == State::Pending));
    migrations::up(&f.url).await.expect("goes forth");
    f.fund(1, 10).await;
    f.accept_one(request(1, &["111"])).await;
    assert_eq!(f.balance(1).await, 9);
}

/// The reference's own tables with work in flight: it goes on here, and what fails is refunded.
#[tokio::test]
async fn a_database_of_the_reference_is_taken_over() {
    let f = Fixture::empty_server().await;
    for statement in include_str!("reference.sql").split(';').filter(|statement| !statement.trim().is_empty()) {
        f.execute(statement).await;
    }
    f.db.migrate().await.expect("migrates in place");
    assert_eq!(f.db.rescue_expired_claims().await.expect("rescues"), 1, "the claim of a killed publisher");
    let token = ClaimToken::unique();
    let events = f.db.claim_events(Lane::Normal, 10, LEASE, &token).await.expect("claims");
    let (_, _, body) = message_of(&events[0]);
    let wanted = BeginRequest {
        customer: body.customer_id,
        message_id: body.message_identifier.clone(),
        recipients: body.recipients.as_slice().to_vec(),
        expiry: None,
    };
    let begin = f.db.begin_sending(&[wanted], LEASE).await.expect("begins").remove(0);
    let failed = || Outcome::Failed { provider: String::new() };
    let outcomes: Vec<_> = begin.claimed.iter().map(|claimed| Settlement::new(claimed, failed())).collect();
    assert_eq!(f.db.settle(&outcomes).await.expect("settles"), [true, true]);
    assert_eq!(f.balance(1).await, 100);
    let (_, page) = f.db.account(customer(1), None, 10).await.expect("reads");
    let kinds: Vec<_> = page.entries.iter().map(|entry| entry.kind.to_string()).collect();
    assert_eq!(kinds, ["corrective", "corrective", "withdrawal", "corrective", "withdrawal", "deposit"]);
    f.assert_conserved().await;
    f.remove().await;
}
