//! What can never be worked on: unreadable events, malformed bodies, messages nobody paid for.

use broker::{Broker, Outgoing, Published, Topology, dead_letter_queue};
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::json;
use test_support::{rabbit_uri, wait_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::outcomes;
use crate::{
    client::Kind,
    platform::{SETTLED, Setup},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_read_fails_its_message_with_a_refund() {
    let mut platform = Setup::new().start().await;
    platform.top_up(1, 100).await;
    let status = platform.relays[0].terminate().await;
    assert!(status.success(), "{status}");
    let unreadable = platform.send(1, Kind::Normal, &["+98101", "+98102"]).await;
    let fine = platform.send(1, Kind::Normal, &["+98103"]).await;
    let statement =
        format!(r#"UPDATE outbox_events SET payload = '{{"exchange": 7}}' WHERE aggregate_id = '{unreadable}'"#);
    assert_eq!(platform.tables.execute(&statement).await, 1);
    platform.relays[0].start();
    platform.wait_all_terminal().await;
    assert_eq!(outcomes(&platform.history_of(&unreadable).await), [("+98101", "failed", ""), ("+98102", "failed", "")]);
    assert_eq!(outcomes(&platform.history_of(&fine).await), [("+98103", "done", "operatorA")]);
    assert_eq!(platform.tables.outbox_event(&unreadable).await.0, "failed");
    assert_eq!(platform.client.balance(1).await.balance, 100 - 2);
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_messages_and_messages_nobody_paid_for_go_to_the_dead_letter_queue() {
    let mut platform = Setup::new().start().await;
    let names = platform.names.clone();
    let topology = Topology::new(&names.exchange, &names.express_queue, &names.normal_queue).expect("valid names");
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let broker = Broker::amqp(SecretString::from(rabbit_uri()), topology, &tasks, stop.clone()).expect("a valid uri");
    broker.publisher().ready().await;
    let unpaid = json!({
        "customer_id": 1, "text": "free", "recipients": ["+98109"], "type": "normal",
        "transaction_id": "019a0000-0000-7000-8000-000000000001",
        "message_identifier": "019a0000-0000-7000-8000-000000000002",
    });
    let bodies = [b"\xff{".to_vec(), br#"{"customer_id": 1}"#.to_vec(), unpaid.to_string().into_bytes()];
    for (number, body) in bodies.iter().enumerate() {
        let message = Outgoing {
            exchange: names.exchange.clone(),
            routing_key: names.normal_queue.clone(),
            message_id: format!("poison-{number}"),
            body: Bytes::from(body.clone()),
            traceparent: None,
            timestamp: 1_700_000_000,
        };
        assert_eq!(broker.publisher().publish(vec![message]).await, [Published::Confirmed]);
    }
    let mut dead_letters = broker.consumer(&dead_letter_queue(&names.normal_queue), 10);
    let mut found = Vec::new();
    while found.len() < bodies.len() {
        let letter = wait_until(SETTLED, "a dead letter", async || dead_letters.next().await).await;
        found.push(letter.body.to_vec());
        letter.ack().await;
    }
    found.sort_unstable();
    let mut expected = bodies.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    dead_letters.stop().await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;

    assert!(platform.simulator.journal().is_empty(), "an operator was asked to send for nobody's money");
    platform.top_up(1, 100).await;
    let good = platform.send(1, Kind::Normal, &["+98101"]).await;
    platform.wait_all_terminal().await;
    assert_eq!(outcomes(&platform.history_of(&good).await), [("+98101", "done", "operatorA")]);
    platform.finish().await;
}
