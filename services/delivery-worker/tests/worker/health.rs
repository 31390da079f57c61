//! What `/readyz` is told.

use std::time::Duration;

use delivery_worker::health;

use crate::support::Fixture;

#[tokio::test]
async fn a_worker_is_ready_with_a_schema_and_a_broker() {
    let fixture = Fixture::new().await;
    let database = fixture.open(Duration::from_secs(30)).await;
    let report = health(&database, &fixture.broker).report().await;
    assert_eq!((report.ready, report.dependencies["mysql"]), (false, "unavailable"));

    database.assume_migrated();
    let report = health(&database, &fixture.broker).report().await;
    assert_eq!((report.ready, report.dependencies["mysql"], report.dependencies["rabbitmq"]), (true, "ok", "ok"));
    database.close().await;
    fixture.remove().await;
}
