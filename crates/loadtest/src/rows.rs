//! The rows of accepted messages, in the shape in which the gateway writes them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use domain::{CustomerId, MessageBody, MessageId, MessageType, OutboxPayload, Recipients, TransactionId, event};
use sqlx::{Connection as _, MySqlConnection, MySqlTransaction, QueryBuilder};
use uuid::Uuid;

use crate::{Traffic, traffic::TEXT};

/// Messages of one transaction.
const CHUNK: u64 = 500;

/// Exchange and queues of the default settings.
const EXCHANGE: &str = "message_exchange";
const QUEUES: [(MessageType, &str); 2] =
    [(MessageType::Express, "message_express"), (MessageType::Normal, "message_normal")];

/// Request `index` of `traffic` as an accepted message.
pub(crate) fn message(traffic: &Traffic, index: u64) -> anyhow::Result<OutboxPayload> {
    let kind = traffic.kind(index);
    let transaction_id = TransactionId::from_uuid(Uuid::now_v7());
    let body = MessageBody {
        customer_id: CustomerId::try_from(traffic.user(index)).context("a customer's id")?,
        text: TEXT.to_owned().try_into().context("a text")?,
        recipients: Recipients::parse(traffic.recipients(index).collect()).context("recipients")?,
        kind,
        transaction_id: transaction_id.clone(),
        message_identifier: MessageId::from_uuid(Uuid::now_v7()),
    };
    let routing_key = QUEUES.iter().find(|(of, _)| *of == kind).map_or("", |(_, queue)| queue).to_owned();
    Ok(OutboxPayload { exchange: EXCHANGE.to_owned(), routing_key, message: body, transaction_id })
}

/// Charges and stores messages as one batch of the gateway: locked balances, debits, ledger, messages, events.
pub(crate) async fn accept(tx: &mut MySqlTransaction<'_>, batch: &[OutboxPayload]) -> anyhow::Result<()> {
    let mut totals: BTreeMap<i64, i64> = BTreeMap::new();
    for payload in batch {
        *totals.entry(payload.message.customer_id.get()).or_default() += price(payload);
    }
    let mut lock = QueryBuilder::new("SELECT user_id, balance FROM user_balances WHERE user_id IN ");
    push_list(&mut lock, totals.keys());
    lock.push(" ORDER BY user_id FOR UPDATE").build().fetch_all(&mut **tx).await?;
    let mut debit = QueryBuilder::new("UPDATE user_balances SET balance = balance - CASE user_id");
    for (user, total) in &totals {
        debit.push(" WHEN ").push_bind(*user).push(" THEN ").push_bind(*total);
    }
    debit.push(" ELSE 0 END, last_updated = UTC_TIMESTAMP(6) WHERE user_id IN ");
    push_list(&mut debit, totals.keys());
    let debited = debit.build().execute(&mut **tx).await?.rows_affected();
    anyhow::ensure!(debited == totals.len() as u64, "a user has no balance: seed first");
    insert(tx, batch).await
}

async fn insert(tx: &mut MySqlTransaction<'_>, batch: &[OutboxPayload]) -> anyhow::Result<()> {
    QueryBuilder::new(
        "INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id) ",
    )
    .push_values(batch, |mut row, payload| {
        let body = &payload.message;
        row.push_bind(body.customer_id.get())
            .push_bind(-price(payload))
            .push_bind("withdrawal")
            .push_bind(format!("message {}", body.message_identifier))
            .push_bind(body.transaction_id.as_str().to_owned());
    })
    .build()
    .execute(&mut **tx)
    .await?;
    let recipients = batch.iter().flat_map(|payload| {
        payload.message.recipients.as_slice().iter().map(move |recipient| (&payload.message, recipient))
    });
    QueryBuilder::new(
        "INSERT INTO message_status (user_id, status, type, recipient, message_identifier, price, transaction_id) ",
    )
    .push_values(recipients, |mut row, (body, recipient)| {
        row.push_bind(body.customer_id.get())
            .push_bind("pending")
            .push_bind(body.kind.as_str())
            .push_bind(recipient.as_str().to_owned())
            .push_bind(body.message_identifier.as_str().to_owned())
            .push_bind(unit_price(body.kind))
            .push_bind(body.transaction_id.as_str().to_owned());
    })
    .build()
    .execute(&mut **tx)
    .await?;
    QueryBuilder::new(
        "INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, priority, user_id) ",
    )
    .push_values(batch, |mut row, payload| {
        row.push_bind(event::AGGREGATE_TYPE)
            .push_bind(payload.message.message_identifier.as_str().to_owned())
            .push_bind(event::EventKind::Send.as_str())
            .push_bind(serde_json::to_string(payload).expect("strings and numbers serialise"))
            .push_bind(payload.message.kind.priority())
            .push_bind(payload.message.customer_id.get());
    })
    .build()
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Stores `count` accepted messages that wait to be published.
///
/// # Errors
/// When the database refuses, or a user has no balance.
pub async fn insert_waiting(connection: &mut MySqlConnection, traffic: &Traffic, count: u64) -> anyhow::Result<()> {
    for first in (0..count).step_by(usize::try_from(CHUNK).unwrap_or(1)) {
        let batch = (first..count.min(first + CHUNK))
            .map(|index| message(traffic, index))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut tx = connection.begin().await?;
        accept(&mut tx, &batch).await.context("storing waiting messages")?;
        tx.commit().await?;
    }
    Ok(())
}

/// Appends `(?, ?, ...)` with these values bound.
pub(crate) fn push_list<'a, T>(query: &mut QueryBuilder<sqlx::MySql>, values: impl IntoIterator<Item = &'a T>)
where
    T: Clone + Send + Sync + 'a + sqlx::Type<sqlx::MySql> + for<'q> sqlx::Encode<'q, sqlx::MySql> + 'static,
{
    query.push("(");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value.clone());
    }
    query.push(")");
}

/// The default prices.
fn unit_price(kind: MessageType) -> i64 {
    match kind {
        MessageType::Normal => 1,
        MessageType::Express => 3,
    }
}

fn price(payload: &OutboxPayload) -> i64 {
    unit_price(payload.message.kind) * i64::try_from(payload.message.recipients.count()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Load;

    #[test]
    fn a_message_is_an_event_the_relay_can_read() {
        let traffic = Traffic::of(&Load { recipients: 3, express_ratio: 1.0, ..Load::default() });
        let stored = message(&traffic, 4).expect("a message");
        assert_eq!(price(&stored), 9);
        let read = OutboxPayload::from_json(serde_json::to_value(&stored).expect("JSON")).expect("readable");
        assert_eq!(read, stored);
        assert_eq!(read.routing_key, "message_express");
    }
}
