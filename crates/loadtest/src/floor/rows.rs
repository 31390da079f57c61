//! The rows of accepted messages, written by a bare client: what a gateway's batch costs the database at least.

use std::collections::BTreeMap;

use domain::event;
use persistence::AcceptRequest;
use sqlx::{MySqlTransaction, QueryBuilder};

const LEDGER: &str = "INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id) ";
const MESSAGES: &str =
    "INSERT INTO message_status (user_id, status, type, recipient, message_identifier, price, transaction_id) ";
const EVENTS: &str = "INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, priority, user_id, traceparent, turn) ";

/// Charges and stores messages as one batch of the gateway does, into the same columns: locked balances, debits, ledger,
/// messages, events.
pub(super) async fn accept(tx: &mut MySqlTransaction<'_>, batch: &[AcceptRequest]) -> anyhow::Result<()> {
    let mut totals: BTreeMap<i64, i64> = BTreeMap::new();
    for request in batch {
        *totals.entry(request.payload.message.customer_id.get()).or_default() += price(request);
    }
    let mut lock = QueryBuilder::new("SELECT id, user_id, balance, last_updated FROM user_balances WHERE user_id IN ");
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

async fn insert(tx: &mut MySqlTransaction<'_>, batch: &[AcceptRequest]) -> anyhow::Result<()> {
    QueryBuilder::new(LEDGER)
        .push_values(batch, |mut row, request| {
            let body = &request.payload.message;
            row.push_bind(body.customer_id.get())
                .push_bind(-price(request))
                .push_bind("withdrawal")
                .push_bind(format!("message {}", body.message_identifier))
                .push_bind(body.transaction_id.as_str().to_owned());
        })
        .build()
        .execute(&mut **tx)
        .await?;
    let recipients = batch.iter().flat_map(|request| {
        request.payload.message.recipients.as_slice().iter().map(move |recipient| (request, recipient))
    });
    QueryBuilder::new(MESSAGES)
        .push_values(recipients, |mut row, (request, recipient)| {
            let body = &request.payload.message;
            row.push_bind(body.customer_id.get())
                .push_bind("pending")
                .push_bind(body.kind.as_str())
                .push_bind(recipient.as_str().to_owned())
                .push_bind(body.message_identifier.as_str().to_owned())
                .push_bind(request.quote.price_of(recipient).get())
                .push_bind(body.transaction_id.as_str().to_owned());
        })
        .build()
        .execute(&mut **tx)
        .await?;
    QueryBuilder::new(EVENTS)
        .push_values(batch, |mut row, request| {
            let payload = &request.payload;
            row.push_bind(event::AGGREGATE_TYPE)
                .push_bind(payload.message.message_identifier.as_str().to_owned())
                .push_bind(event::EventKind::Send.as_str())
                .push_bind(serde_json::to_string(payload).expect("strings and numbers serialise"))
                .push_bind(payload.message.kind.priority())
                .push_bind(payload.message.customer_id.get())
                .push_bind(request.traceparent.clone())
                .push_bind(request.turn.get());
        })
        .build()
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Appends `(?, ?, ...)` with these values bound.
pub(super) fn push_list<'a, T>(query: &mut QueryBuilder<sqlx::MySql>, values: impl IntoIterator<Item = &'a T>)
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

fn price(request: &AcceptRequest) -> i64 {
    request.quote.total().get()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the services send, as the tests of `persistence` write it down.
    const STATEMENTS: &str = include_str!("../../../persistence/statements.sql");

    #[test]
    fn rows_are_written_into_the_columns_that_the_gateway_writes() {
        for insert in [LEDGER, MESSAGES, EVENTS] {
            assert!(STATEMENTS.contains(insert.trim_end()), "{insert}");
        }
    }
}
