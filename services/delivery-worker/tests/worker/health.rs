//! What `/readyz` is told.

use std::time::Duration;

use delivery_worker::{Sending, health};
use service_kit::Lifecycle;

use crate::support::{self, Fixture};

#[tokio::test]
async fn a_worker_is_ready_with_a_schema_and_a_broker() {
    let fixture = Fixture::new().await;
    let database = fixture.open(Duration::from_secs(30)).await;
    let lifecycle = Lifecycle::for_tests();
    // Nobody listens there: its session is reported, and decides nothing.
    let list = "a=simulated:,b=smpp://user:secret@127.0.0.1:9";
    let sending = Sending::build(support::operators(list), &lifecycle.scope()).expect("a valid configuration");
    let operators = sending.operators();
    let report = health(&database, &fixture.broker, operators).report().await;
    assert_eq!((report.ready, report.dependencies["mysql"]), (false, "unavailable"));

    database.assume_migrated();
    let report = health(&database, &fixture.broker, operators).report().await;
    let found = ["mysql", "rabbitmq", "smpp:b"].map(|name| report.dependencies[name]);
    assert_eq!((report.ready, found), (true, ["ok", "ok", "unavailable"]));
    database.close().await;
    fixture.remove().await;
}
