//! The statements that every operation runs, as text and as the server plans them.
//!
//! They are written down while the operations run, on a database with a backlog: what is looked at here is what is sent,
//! not a copy of it.

use std::{collections::BTreeMap, fmt::Write as _};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement};

use crate::Query;

mod life;
mod life_callbacks;
mod life_late;
mod life_receipts;
mod life_timed;

tokio::task_local! {
    /// What was sent by the operation that this task runs.
    static SENT: std::sync::Mutex<Vec<Statement>>;
}

/// Writes a statement down, where somebody wants to know.
pub(crate) fn note(statement: &Statement) {
    let _ = SENT.try_with(|sent| sent.lock().expect("nobody panics with it").push(statement.clone()));
}

/// The statements of each operation, in the order in which they were first sent.
#[derive(Default)]
struct Sent(BTreeMap<Query, Vec<Statement>>);

impl Sent {
    /// Runs an operation and keeps what it sends, each text once.
    async fn of<T>(&mut self, query: Query, operation: impl Future<Output = Result<T, crate::Error>>) -> T {
        let (result, sent) = SENT
            .scope(std::sync::Mutex::default(), async {
                let result = operation.await;
                (result, SENT.with(|sent| std::mem::take(&mut *sent.lock().expect("nobody panics with it"))))
            })
            .await;
        let known = self.0.entry(query).or_default();
        for statement in sent {
            if known.iter().all(|other| other.sql != statement.sql) {
                known.push(statement);
            }
        }
        result.unwrap_or_else(|error| panic!("{}: {}", query.as_str(), error.with_cause()))
    }
}

/// One table of a plan.
#[derive(Debug)]
struct Step {
    table: String,
    access: String,
    key: String,
    extra: String,
}

async fn explain(db: &DatabaseConnection, statement: &Statement) -> Vec<Step> {
    let version = Statement::from_string(DbBackend::MySql, "SELECT VERSION()");
    let version: String =
        db.query_one_raw(version).await.expect("answers").expect("one row").try_get_by_index(0).expect("a text");
    // MySQL 9 explains as a tree unless told otherwise; MariaDB knows no other form than this one.
    let explain = if version.contains("MariaDB") { "EXPLAIN" } else { "EXPLAIN FORMAT=TRADITIONAL" };
    let mut explained = statement.clone();
    explained.sql = format!("{explain} {}", statement.sql);
    let rows = db.query_all_raw(explained).await.unwrap_or_else(|error| panic!("{}: {error}", statement.sql));
    let text = |row: &QueryResult, column| row.try_get::<Option<String>>("", column).ok().flatten().unwrap_or_default();
    rows.iter()
        .map(|row| Step {
            table: text(row, "table"),
            access: text(row, "type"),
            key: text(row, "key"),
            extra: text(row, "Extra"),
        })
        .collect()
}

/// Steps that read more than their index, or sort, and why they may: the operation, the table, and what its plan may say.
const ALLOWED: &[(Query, &str, &[&str])] = &[
    // Without a customer rows are read by primary key, as many as the page has. A message has at most 1,000 recipients to sort.
    (Query::History, "message_status", &["index", "Using filesort"]),
    (Query::Message, "message_status", &["Using filesort"]),
    (Query::OutboxFail, "message_status", &["Using filesort"]),
    // As many as the page has, by primary key; a customer's senders are few.
    (Query::KeyList, "api_keys", &["index"]),
    (Query::SenderList, "customer_senders", &["index", "Using filesort"]),
    // A page, by the index of customers alone.
    (Query::CallbackCustomers, "callback_endpoints", &["index"]),
    // At the start of a process that is alone with its SQLite file, which has an index of unfinished messages.
    (Query::RecoverEmbedded, "outbox_events", &["index", "ALL"]),
    (Query::RecoverEmbedded, "message_status", &["index", "ALL"]),
];

/// What is counted, added up or looked up often is read from the index alone.
const BY_INDEX_ALONE: &[(Query, &str, &str)] = &[
    (Query::LedgerAudit, "user_transactions", "idx_user_transactions_user_id"),
    (Query::OutboxPeek, "outbox_events", "idx_outbox_claim"),
    (Query::OutboxPending, "outbox_events", "idx_outbox_claim"),
    (Query::OutboxPublished, "outbox_events", "idx_outbox_claim"),
    (Query::OutboxTurn, "outbox_events", "idx_outbox_claim"),
];

/// What the plan of a step says that it should not.
fn faults(query: Query, step: &Step) -> Vec<String> {
    // No table, or what a subquery found; or the server's dictionary, and one row for each change of the schema.
    if step.table.is_empty() || step.table.starts_with('<') || query == Query::Schema {
        return Vec::new();
    }
    let allowed = ALLOWED.iter().find(|(of, table, _)| (*of, *table) == (query, step.table.as_str()));
    let is_allowed = |fault: &str| allowed.is_some_and(|(.., faults)| faults.contains(&fault));
    let mut faults: Vec<String> = Vec::new();
    if ["ALL", "index"].contains(&step.access.as_str()) && !is_allowed(&step.access) {
        faults.push(format!("reads all of it ({})", step.access));
    }
    let sorts = ["Using filesort", "Using temporary"].into_iter().filter(|sort| step.extra.contains(sort));
    faults.extend(sorts.filter(|sort| !is_allowed(sort)).map(str::to_owned));
    let alone = BY_INDEX_ALONE.iter().find(|(of, table, _)| (*of, *table) == (query, step.table.as_str()));
    if let Some((.., key)) = alone.filter(|(.., key)| step.key != *key || !step.extra.contains("Using index")) {
        faults.push(format!("is not read from {key} alone"));
    }
    faults
}

/// A table that is read as a whole, or a sort, is what makes an operation slower with every row that is stored; and a claim
/// would lock what it sorts.
#[tokio::test]
async fn no_statement_reads_a_whole_table_or_sorts_it() {
    let life = life::Life::begin().await;
    let sent = life.live().await;
    let mut wrong = String::new();
    for (query, statements) in &sent.0 {
        for statement in statements.iter().filter(|statement| !statement.sql.starts_with("INSERT")) {
            for step in explain(&life.sql, statement).await {
                for fault in faults(*query, &step) {
                    writeln!(wrong, "{}: {fault}: {step:?}\n  {}", query.as_str(), statement.sql).expect("a string");
                }
            }
        }
    }
    life.end().await;
    assert_eq!(wrong, "");
}

/// MySQL gives JSON out as a type of its own, which only a claim asks for as what it is.
#[tokio::test]
async fn only_claims_read_payloads() {
    let life = life::Life::begin().await;
    let sent = life.live().await;
    life.end().await;
    for (query, statements) in &sent.0 {
        let is_of_outbox = |sql: &str| sql.contains("`payload`") && !sql.contains("callback_events");
        let reads = |statement: &&Statement| statement.sql.starts_with("SELECT") && is_of_outbox(&statement.sql);
        let reads_payloads = statements.iter().any(|statement| reads(&statement));
        assert_eq!(reads_payloads, *query == Query::OutboxClaim, "{}: {statements:?}", query.as_str());
    }
}

/// Nobody pays for what its request does not use: these were all statements before there were details, and are all now.
#[tokio::test]
async fn a_plain_request_sends_what_it_always_did() {
    let life = life::Life::begin().await;
    let statements = life.plain_accept().await;
    life.end().await;
    let expected = [
        "SELECT user_balances.id, user_balances.user_id, user_balances.balance, user_balances.last_updated\n    FROM user_balances",
        "UPDATE user_balances",
        "INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id)\n    VALUES (?)",
        "INSERT INTO message_status (user_id, status, type, recipient, message_identifier, price, transaction_id)\n    VALUES (?)",
        "INSERT INTO outbox_events (aggregate_type, aggregate_id, event_type, payload, priority, user_id, traceparent, turn)\n    VALUES (?)",
    ];
    assert_eq!(statements.len(), expected.len(), "{statements:?}");
    for (sent, expected) in statements.iter().zip(expected) {
        assert!(readable(sent).starts_with(expected), "{}", readable(sent));
    }
}

/// The file that shows them. `UPDATE_STATEMENTS=1` writes it anew; then look at what changed.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/statements.sql");

#[tokio::test]
async fn the_statements_are_those_of_the_file() {
    let life = life::Life::begin().await;
    let sent = life.live().await;
    life.end().await;
    let unseen: Vec<_> = Query::ALL.iter().filter(|query| !sent.0.contains_key(query)).collect();
    assert!(unseen.is_empty(), "`plans/life*.rs` run no {unseen:?}");
    let mut text =
        "-- What each operation sends to MySQL: made by the tests of `src/plans.rs`, which say how.\n".to_owned();
    for (query, statements) in &sent.0 {
        writeln!(text, "\n-- {}: {}", query.as_str(), query.doing()).expect("a string");
        let mut known: Vec<String> = Vec::new();
        for statement in statements.iter().map(|statement| readable(&statement.sql)) {
            if !known.contains(&statement) {
                writeln!(text, "{statement};").expect("a string");
                known.push(statement);
            }
        }
    }
    if std::env::var_os("UPDATE_STATEMENTS").is_some() {
        std::fs::write(FILE, &text).expect("written");
    }
    let file = std::fs::read_to_string(FILE).expect("read");
    let differs = text.lines().zip(file.lines()).find(|(sent, written)| sent != written);
    assert_eq!(differs, None, "(sent, in the file): UPDATE_STATEMENTS=1 writes it anew");
    assert_eq!(text.lines().count(), file.lines().count(), "UPDATE_STATEMENTS=1 writes the file anew");
}

/// Without the marks of names, a clause to the line, and with what repeats for each value once.
fn readable(sql: &str) -> String {
    let mut sql = sql.replace('`', "");
    for (repeated, once) in [("?, ?", "?"), ("(?), (?)", "(?)")] {
        while sql.contains(repeated) {
            sql = sql.replace(repeated, once);
        }
    }
    for word in [" OR ", " WHEN ", " UNION ALL "] {
        let mut terms: Vec<&str> = sql.split(word).collect();
        terms.dedup_by(|next, last| next.trim_end_matches(')') == last.trim_end_matches(')') || next == last);
        sql = terms.join(word);
    }
    for clause in ["FROM", "WHERE", "SET", "VALUES", "ORDER BY", "LIMIT"] {
        sql = sql.replace(&format!(" {clause} "), &format!("\n    {clause} "));
    }
    sql
}
