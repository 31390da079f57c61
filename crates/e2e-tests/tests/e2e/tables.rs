//! The tables behind the API: read to check what it says, changed to stage what no client can.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, Row as _,
    mysql::{MySqlConnection, MySqlRow},
};
use tokio::{sync::oneshot, task::JoinSet};

use crate::{
    client::{Account, HistoryRow, LedgerRow},
    snapshot::Snapshot,
};

/// Times as the API writes them: UTC with milliseconds.
const TIME: &str = "'%Y-%m-%dT%H:%i:%s.%f'";

const MISMATCHES: &str = "SELECT COUNT(*) FROM user_balances LEFT JOIN
    (SELECT user_id, SUM(amount) AS total FROM user_transactions GROUP BY user_id) AS ledger USING (user_id)
    WHERE balance <> COALESCE(total, 0) OR balance < 0";

/// The database of one platform.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    url: String,
}

impl Tables {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Accounts and messages of everybody.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let mut accounts = BTreeMap::new();
        for row in self.rows("SELECT user_id, balance FROM user_balances").await {
            accounts.insert(row.get("user_id"), Account { balance: row.get("balance"), transactions: Vec::new() });
        }
        let query = format!(
            "SELECT user_id, transaction_id, amount, transaction_type, DATE_FORMAT(created_at, {TIME}) AS created_at
            FROM user_transactions"
        );
        for row in self.rows(&query).await {
            let user: i64 = row.get("user_id");
            let account = accounts.get_mut(&user).unwrap_or_else(|| panic!("{user} has a ledger and no balance"));
            account.transactions.push(LedgerRow {
                id: row.get("transaction_id"),
                amount: row.get("amount"),
                kind: row.get("transaction_type"),
                created_at: millis(&row, "created_at"),
            });
        }
        let query = format!(
            "SELECT user_id, type, status, recipient, provider, message_identifier,
            DATE_FORMAT(created_at, {TIME}) AS created_at, DATE_FORMAT(updated_at, {TIME}) AS updated_at
            FROM message_status"
        );
        let history = self.rows(&query).await.iter().map(history_row).collect();
        Snapshot { accounts, history }.sorted()
    }

    /// Message and recipient of every refund, through the charge it names.
    pub(crate) async fn refunds(&self) -> Vec<(String, String)> {
        let query = "SELECT message_identifier, m.recipient FROM user_transactions AS t
            JOIN message_status AS m ON m.transaction_id = t.refund_of AND m.recipient = t.recipient
            WHERE t.transaction_type = 'corrective' AND t.amount = m.price";
        self.rows(query).await.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// How many outbox events are still to be published.
    pub(crate) async fn unpublished_events(&self) -> i64 {
        let query = "SELECT COUNT(*) FROM outbox_events WHERE status NOT IN ('processed', 'failed')";
        self.rows(query).await[0].get(0)
    }

    /// How many of these messages' outbox events have this status.
    pub(crate) async fn outbox_count(&self, messages: &[String], status: &str) -> usize {
        let mut count = 0;
        for message in messages {
            count += usize::from(self.outbox_event(message).await.0 == status);
        }
        count
    }

    /// How many of these messages' outbox events wait under somebody's lock.
    pub(crate) async fn outbox_held(&self, messages: &[String]) -> usize {
        let waiting = self.outbox_count(messages, "pending").await;
        let ids: Vec<_> = messages.iter().map(|message| format!("'{message}'")).collect();
        let unlocked = format!(
            "SELECT id FROM outbox_events WHERE aggregate_id IN ({}) AND status = 'pending' FOR UPDATE SKIP LOCKED",
            ids.join(",")
        );
        waiting.saturating_sub(self.rows(&unlocked).await.len())
    }

    /// The message's outbox event as seen by a claimer: its status, and whether it waits for a later time.
    pub(crate) async fn outbox_event(&self, message: &str) -> (String, bool) {
        let query =
            format!("SELECT status, next_run_at IS NOT NULL FROM outbox_events WHERE aggregate_id = '{message}'");
        let rows = self.rows(&query).await;
        let row = rows.first().unwrap_or_else(|| panic!("no outbox event of message {message}"));
        (row.get(0), row.get::<i64, _>(1) == 1)
    }

    /// All that is stored of API keys.
    pub(crate) async fn api_keys(&self) -> String {
        let query = "SELECT CONCAT_WS(' ', public_id, name, scopes, hint, HEX(hash)) FROM api_keys";
        self.rows(query).await.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
    }

    /// How many API keys are known to have been used.
    pub(crate) async fn used_api_keys(&self) -> i64 {
        self.rows("SELECT COUNT(*) FROM api_keys WHERE last_used_at IS NOT NULL").await[0].get(0)
    }

    /// The number that a query gives.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.rows(query).await[0].get(0)
    }

    /// Runs a statement; gives the number of rows it changed.
    pub(crate) async fn execute(&self, statement: &str) -> u64 {
        let mut connection = self.connect().await.expect("the database answers");
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
        let done = done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let _ = connection.close().await;
        done.rows_affected()
    }

    async fn rows(&self, query: &str) -> Vec<MySqlRow> {
        let mut connection = self.connect().await.expect("the database answers");
        let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut connection).await;
        let rows = rows.unwrap_or_else(|error| panic!("{query}: {error}"));
        let _ = connection.close().await;
        rows
    }

    async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        MySqlConnection::connect(&self.url).await
    }
}

fn history_row(row: &MySqlRow) -> HistoryRow {
    HistoryRow {
        message_identifier: row.get("message_identifier"),
        recipient: row.get("recipient"),
        user_id: row.get("user_id"),
        kind: row.get("type"),
        status: row.get("status"),
        provider: row.get("provider"),
        created_at: millis(row, "created_at"),
        updated_at: millis(row, "updated_at"),
    }
}

fn millis(row: &MySqlRow, column: &str) -> String {
    let mut time: String = row.get(column);
    time.truncate(time.len() - 3);
    time + "Z"
}

/// Reads balances and ledger together, again and again, while things happen.
pub(crate) struct Auditor {
    stop: oneshot::Sender<()>,
    reading: JoinSet<usize>,
}

impl Auditor {
    pub(crate) fn start(tables: &Tables) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut reading = JoinSet::new();
        reading.spawn(audit(tables.clone(), stopped));
        Self { stop, reading }
    }

    /// Stops reading.
    ///
    /// # Panics
    ///
    /// When any read found a balance that is negative or not the sum of its ledger, or none was made.
    pub(crate) async fn finish(mut self) {
        let _ = self.stop.send(());
        let reads = self.reading.join_next().await.expect("one reader").expect("every read is conserved");
        assert!(reads > 0, "the auditor never read anything");
    }
}

async fn audit(tables: Tables, mut stopped: oneshot::Receiver<()>) -> usize {
    let mut reads = 0;
    let mut connection = tables.connect().await.expect("the database answers");
    while matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
        let mismatches: i64 =
            sqlx::query(MISMATCHES).fetch_one(&mut connection).await.expect("the database answers").get(0);
        assert_eq!(mismatches, 0, "balances are not the sum of their ledger after {reads} good reads");
        reads += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    reads
}
