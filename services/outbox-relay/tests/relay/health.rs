//! What `/readyz` is told.

use std::time::Duration;

use outbox_relay::health;

use crate::support::{ClosedPort, Fixture, config};

#[tokio::test]
async fn a_relay_is_ready_with_a_schema_and_a_broker_that_takes_messages() {
    let fixture = Fixture::new().await;
    let relay = fixture.idle_relay(Duration::from_secs(30)).await;
    assert!(health(&config(), &relay.database, Some(&fixture.broker)).report().await.ready);

    let port = ClosedPort::new();
    let report = health(&config(), &relay.database, Some(&port.broker(&relay.scope))).report().await;
    assert_eq!(
        (report.ready, report.dependencies["mysql"], report.dependencies["rabbitmq"]),
        (false, "ok", "unavailable")
    );

    let unseen = fixture.open(Duration::from_secs(30)).await;
    let report = health(&config(), &unseen, Some(&fixture.broker)).report().await;
    assert_eq!(
        (report.ready, report.dependencies["mysql"], report.dependencies["rabbitmq"]),
        (false, "unavailable", "ok")
    );
    relay.stop().await;
    fixture.remove().await;
}

/// One that sends callbacks alone has no use for a broker, and is not asked about any.
#[tokio::test]
async fn a_relay_without_a_broker_is_ready_with_a_schema() {
    let fixture = Fixture::new().await;
    let relay = fixture.idle_relay(Duration::from_secs(30)).await;
    let report = health(&config(), &relay.database, None).report().await;
    assert!(report.ready && !report.dependencies.contains_key("rabbitmq"), "{:?}", report.dependencies);
    relay.stop().await;
    fixture.remove().await;
}
