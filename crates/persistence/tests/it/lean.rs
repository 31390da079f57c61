//! A filled database brought to lean tables.

use std::time::Duration;

use domain::{Lane, MessageStatus};
use persistence::{ClaimToken, HistoryFilter, Reader};
use sea_orm::DbBackend;

use crate::support::{Fixture, LEASE};

/// Changes from `m0007_lean_tables` on.
const SINCE_LEAN: u32 = 7;

/// Events in every state of the schema before, each of a message with one recipient: its state, the message's, the lease or retry.
const EVENTS: [(&str, &str, &str); 9] = [
    ("waiting", "pending", "pending"),
    ("upper-case", "PENDING", "PENDING"),
    ("leased", "processing", "pending"),
    ("retried", "pending", "pending"),
    ("later", "pending", "pending"),
    ("done", "processed", "done"),
    ("lost", "processed", "SENDING"),
    ("given-up", "failed", "failed"),
    ("given-up-early", "failed", "sending"),
];

async fn insert(f: &Fixture, (name, event, message): (&str, &str, &str)) {
    let retry = match name {
        "retried" => "'2020-01-01 00:00:00'",
        "later" => "'2999-01-01 00:00:00'",
        _ => "NULL",
    };
    let claim = if name == "leased" { "'relay-1', '2020-01-01 00:00:00'" } else { "NULL, NULL" };
    f.execute(&format!(
        "INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, status, next_run_at, updated_at, claimed_by,
            claimed_until)
         VALUES ('message', '{name}', 'message.send', '{{}}', '{event}', {retry}, '2020-01-01 00:00:00', {claim})"
    ))
    .await;
    f.execute(&format!(
        "INSERT INTO message_status (user_id, status, type, recipient, message_identifier)
         VALUES (1, '{message}', 'Normal', '111', '{name}')"
    ))
    .await;
}

async fn claimable(f: &Fixture) -> Vec<String> {
    let token = ClaimToken::unique();
    let events = f.db.claim_events(Lane::Normal, 10, LEASE, &token).await.expect("claims");
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    f.db.release_events(&ids, &token).await.expect("gives back");
    events.into_iter().map(|event| event.message_id).collect()
}

pub(crate) async fn events_and_messages_of_every_state_go_on(f: &Fixture) {
    migrations::down(&f.url, Some(SINCE_LEAN)).await.expect("goes back");
    for row in EVENTS {
        insert(f, row).await;
    }
    migrations::up(&f.url).await.expect("goes forth");
    // And once more with rows that have been through it.
    migrations::down(&f.url, Some(SINCE_LEAN)).await.expect("goes back");
    migrations::up(&f.url).await.expect("goes forth");

    assert_eq!(claimable(f).await, ["waiting", "upper-case"]);
    assert_eq!(f.db.rescue_expired_claims().await.expect("rescues"), 1);
    assert_eq!(f.db.promote_due_events().await.expect("promotes"), 1);
    assert_eq!(f.db.republish_stuck(Duration::from_hours(1)).await.expect("republishes").republished, 2);
    let mut waiting = claimable(f).await;
    waiting.sort();
    assert_eq!(waiting, ["given-up-early", "leased", "lost", "retried", "upper-case", "waiting"]);
    assert_eq!(f.db.purge_processed_events(Duration::from_hours(1)).await.expect("purges"), 1, "what is done");
    let of_state = async |status| {
        let filter = HistoryFilter { status: Some(status), ..HistoryFilter::of(Reader::Staff) };
        f.db.history(&filter, 100).await.expect("lists").entries.len()
    };
    assert_eq!((of_state(MessageStatus::Pending).await, of_state(MessageStatus::Sending).await), (5, 2));
}

/// Charset and collation of a column, without the collation's first part.
async fn collation(f: &Fixture, table: &str, column: &str) -> String {
    let sql = format!(
        "SELECT CONCAT(character_set_name, ' ', collation_name) FROM information_schema.columns
         WHERE table_schema = DATABASE() AND table_name = '{table}' AND column_name = '{column}'"
    );
    f.strings(&sql).await.remove(0)
}

#[tokio::test]
async fn columns_are_ascii_where_all_rows_fit() {
    let f = Fixture::server().await;
    assert_eq!(f.backend(), DbBackend::MySql);
    migrations::down(&f.url, Some(SINCE_LEAN)).await.expect("goes back");
    f.execute(
        "INSERT INTO message_status (user_id, status, type, recipient, message_identifier, provider)
         VALUES (1, 'done', 'normal', '111', 'm-1', 'оператор')",
    )
    .await;
    f.execute("INSERT INTO user_transactions (user_id, amount, transaction_type, transaction_id) VALUES (1, 1, 'deposit', 'x ')").await;
    migrations::up(&f.url).await.expect("goes forth");

    for (table, column) in [
        ("message_status", "status"),
        ("message_status", "message_identifier"),
        ("outbox_events", "aggregate_id"),
        ("user_transactions", "refund_of"),
        ("idempotency_keys", "route"),
        ("api_keys", "public_id"),
        ("customer_senders", "sender"),
        ("message_details", "client_reference"),
        ("message_status", "delivery_status"),
        ("operator_messages", "provider_id"),
    ] {
        assert_eq!(collation(&f, table, column).await, "ascii ascii_bin", "{table}.{column}");
    }
    for (table, column) in [("message_status", "provider"), ("user_transactions", "transaction_id")] {
        let collation = collation(&f, table, column).await;
        assert!(["utf8mb4 utf8mb4_nopad_bin", "utf8mb4 utf8mb4_0900_bin"].contains(&&*collation), "{collation}");
    }
    // Told apart by a blank at the end, as before on MySQL.
    f.execute("INSERT INTO user_transactions (user_id, amount, transaction_type, transaction_id) VALUES (1, 1, 'deposit', 'x')").await;
    let page = f.db.history(&HistoryFilter::of(Reader::Staff), 10).await.expect("lists");
    assert_eq!(page.entries[0].provider, "оператор");
    f.remove().await;
}
