//! Migrations.

use persistence::{Database, DatabaseConfig};

use crate::support::{Fixture, request};

pub(crate) async fn operations_wait_for_the_schema(f: &Fixture) {
    let db = Database::open(DatabaseConfig::new(f.url.clone().into())).await.expect("opens");
    assert!(!db.is_ready().await);
    assert!(db.accept(&[request(1, &["111"])]).await.expect_err("not yet").is_unavailable());
    db.migrate().await.expect("migrates");
    assert!(db.is_ready().await);
    db.close().await;
}

pub(crate) async fn migrating_twice_at_once_is_harmless(f: &Fixture) {
    migrations::down(&f.url, None).await.expect("goes back");
    let (one, two) = tokio::join!(migrations::up(&f.url), migrations::up(&f.url));
    one.expect("migrates");
    two.expect("migrates");
    assert!(migrations::status(&f.url).await.expect("reads").iter().all(|(_, applied)| *applied));
    f.fund(1, 10).await;
}

pub(crate) async fn migrations_go_back_and_forth(f: &Fixture) {
    let count = u32::try_from(migrations::status(&f.url).await.expect("reads").len()).expect("few");
    for _ in 0..count {
        migrations::down(&f.url, Some(1)).await.expect("goes one back");
    }
    assert!(migrations::status(&f.url).await.expect("reads").iter().all(|(_, applied)| !applied));
    migrations::up(&f.url).await.expect("goes forth");
    f.fund(1, 10).await;
    f.accept_one(request(1, &["111"])).await;
    assert_eq!(f.balance(1).await, 9);
}
