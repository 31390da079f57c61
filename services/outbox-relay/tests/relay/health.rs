//! What `/readyz` is told.

use std::time::Duration;

use outbox_relay::health;

use crate::support::{ClosedPort, Fixture, config};

#[tokio::test]
async fn a_relay_is_ready_with_a_schema_and_a_broker_that_takes_messages() {
    let fixture = Fixture::new().await;
    let relay = fixture.idle_relay(Duration::from_secs(30)).await;
    assert!(health(&config(), &relay.database, &fixture.broker).report().await.ready);

    let port = ClosedPort::new();
    let report = health(&config(), &relay.database, &port.broker(&relay.scope)).report().await;
    assert_eq!(
        (report.ready, report.dependencies["mysql"], report.dependencies["rabbitmq"]),
        (false, "ok", "unavailable")
    );

    let unseen = fixture.open(Duration::from_secs(30)).await;
    let report = health(&config(), &unseen, &fixture.broker).report().await;
    assert_eq!(
        (report.ready, report.dependencies["mysql"], report.dependencies["rabbitmq"]),
        (false, "unavailable", "ok")
    );
    relay.stop().await;
    fixture.remove().await;
}
