//! What becomes of accepted rows: published in one transaction, taken and recorded as done in others.

use anyhow::ensure;
use sqlx::{Connection as _, MySqlConnection, MySqlTransaction, QueryBuilder};
use uuid::Uuid;

use super::rows::push_list;

/// Messages whose recipients are under a lease of ours.
#[derive(Default)]
pub(super) struct Taken {
    messages: Vec<String>,
    token: String,
    /// Their recipients.
    pub(super) recipients: u64,
}

/// What `hold_events` reads. The payload as text: MySQL has a type of its own for JSON, MariaDB calls it bytes.
const HOLD: &str = "SELECT id, aggregate_id, event_type, CAST(payload AS CHAR), attempts, traceparent, created_at \
     FROM outbox_events FORCE INDEX (idx_outbox_claim) WHERE status = 'pending' AND lane = 0 AND next_run_at IS NULL \
     ORDER BY turn, id LIMIT ? FOR UPDATE SKIP LOCKED";

/// Holds events by their locks and records them as published, as a relay does in one transaction. Gives their messages.
pub(super) async fn publish(connection: &mut MySqlConnection, batch: u64) -> sqlx::Result<Vec<String>> {
    use sqlx::Row as _;

    let mut tx = connection.begin().await?;
    let rows = sqlx::query(HOLD).bind(batch).fetch_all(&mut *tx).await?;
    let ids = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<i64>>>()?;
    if !ids.is_empty() {
        let mut processed = QueryBuilder::new(
            "UPDATE outbox_events SET updated_at = UTC_TIMESTAMP(6), status = 'processed', next_run_at = UTC_TIMESTAMP(6) WHERE id IN ",
        );
        push_list(&mut processed, &ids);
        processed.build().execute(&mut *tx).await?;
    }
    tx.commit().await?;
    rows.iter().map(|row| row.try_get(1)).collect()
}

/// Records the recipients that were taken before as done and takes those of these messages, as a worker does in one
/// transaction.
pub(super) async fn write_states(
    connection: &mut MySqlConnection,
    before: &Taken,
    messages: Vec<String>,
) -> anyhow::Result<Taken> {
    let mut tx = connection.begin().await?;
    settle(&mut tx, before).await?;
    let taken = take(&mut tx, messages).await?;
    tx.commit().await?;
    Ok(taken)
}

async fn settle(tx: &mut MySqlTransaction<'_>, taken: &Taken) -> anyhow::Result<()> {
    if taken.messages.is_empty() {
        return Ok(());
    }
    let mut update = QueryBuilder::new(
        "UPDATE message_status SET status = 'done', provider = 'floor', claimed_by = NULL, claimed_until = NULL, \
         updated_at = UTC_TIMESTAMP(6) WHERE message_identifier IN ",
    );
    push_list(&mut update, &taken.messages);
    update.push(" AND status = 'sending' AND claimed_by = ").push_bind(taken.token.clone());
    let done = update.build().execute(&mut **tx).await?.rows_affected();
    ensure!(done == taken.recipients, "{done} of {} recipients were still ours", taken.recipients);
    Ok(())
}

async fn take(tx: &mut MySqlTransaction<'_>, messages: Vec<String>) -> sqlx::Result<Taken> {
    if messages.is_empty() {
        return Ok(Taken::default());
    }
    let token = Uuid::now_v7().to_string();
    let mut update = QueryBuilder::new("UPDATE message_status SET status = 'sending', claimed_by = ");
    update.push_bind(token.clone());
    update.push(", claimed_until = UTC_TIMESTAMP(6) + INTERVAL 30 SECOND, updated_at = UTC_TIMESTAMP(6) WHERE message_identifier IN ");
    push_list(&mut update, &messages);
    let recipients = update.push(" AND status = 'pending'").build().execute(&mut **tx).await?.rows_affected();
    Ok(Taken { messages, token, recipients })
}
