//! Few shapes of each statement: lists are padded to powers of two, and rows inserted in few sizes.
//!
//! A list of another length is another statement to prepare, and once a connection holds as many as it may it closes
//! one for each. The server does not answer a close, and sqlx 0.9.0 leaves Nagle's algorithm on (sqlx issue 4335): what
//! is sent next waits for a delayed acknowledgement, 40 ms for each statement of every batch.

use sea_orm::sea_query::{Expr, SimpleExpr};

use super::dialect::Dialect;

/// The values, and the last one again up to the next power of two. For conditions that a repetition does not change.
pub(crate) fn padded<T: Clone>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// Up to so many rows are inserted with one statement.
const ONE_INSERT: usize = 16;

/// How many of `rows` rows go into the next INSERT: all of a few, otherwise the largest power of two, or half as much again. 64 rows take
/// one to three statements, 1,024 at most five.
pub(crate) fn insert_size(rows: usize) -> usize {
    if (1..=ONE_INSERT).contains(&rows) {
        return rows;
    }
    let power = 1 << rows.clamp(1, Dialect::INSERT_ROWS).ilog2();
    let larger = power + power / 2;
    if larger <= rows.min(Dialect::INSERT_ROWS) { larger } else { power }
}

/// No text; for columns that are set by an expression.
pub(crate) fn null_text() -> SimpleExpr {
    Expr::value(None::<String>)
}

/// No time; for columns that are set by an expression.
pub(crate) fn null_time() -> SimpleExpr {
    Expr::value(None::<chrono::NaiveDateTime>)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use domain::Lane;
    use test_support::TestDatabase;

    use super::*;
    use crate::{
        AcceptOutcome, AcceptRequest, ClaimToken, Database, DatabaseConfig, Outcome, Settlement,
        samples::{begin_request, request, session_counter, top_up},
    };

    /// The largest batch of the test; every smaller one comes too.
    const SIZES: i64 = 60;

    /// Takes a batch through all its states.
    async fn live(db: &Database, batch: &[AcceptRequest]) {
        let outcomes = db.accept(batch).await.expect("the batch is stored");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, AcceptOutcome::Accepted(_))), "{outcomes:?}");
        let token = ClaimToken::unique();
        let lease = Duration::from_secs(30);
        let events = db.claim_events(Lane::Normal, 1_000, lease, &token).await.expect("events");
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(db.mark_processed(&ids, &token).await.expect("recorded"), batch.len() as u64);
        let begun = db.begin_sending(&batch.iter().map(begin_request).collect::<Vec<_>>(), lease).await.expect("taken");
        let done = || Outcome::Done { provider: "operator".to_owned() };
        let settled: Vec<_> =
            begun.iter().flat_map(|begin| &begin.claimed).map(|taken| Settlement::new(taken, done())).collect();
        assert_eq!(db.settle(&settled).await.expect("settled"), vec![true; batch.len()]);
    }

    #[tokio::test]
    async fn batches_of_all_sizes_close_no_statement() {
        let server = TestDatabase::create(&test_support::database_url()).await;
        let mut config = DatabaseConfig::new(server.url().to_owned().into());
        config.max_connections = 1;
        config.operation_timeout = Duration::from_secs(30);
        let db = Database::open(config).await.expect("the URL is accepted");
        db.migrate().await.expect("migrates");
        for user in 1..=SIZES {
            db.top_up(&top_up(user)).await.expect("added");
        }
        for size in 1..=SIZES {
            live(&db, &(1..=size).map(request).collect::<Vec<_>>()).await;
        }
        assert_eq!(session_counter(&db, "Com_stmt_close").await, 0);
        db.close().await;
        server.drop().await.expect("the database is dropped");
    }

    #[test]
    fn a_list_is_padded_with_its_last_value() {
        assert_eq!(padded([7, 8, 9]), [7, 8, 9, 9]);
        assert_eq!(padded([1, 2, 3, 4]), [1, 2, 3, 4]);
        assert_eq!(padded([5]), [5]);
        assert_eq!(padded(Vec::<i64>::new()), Vec::<i64>::new());
    }

    #[test]
    fn all_rows_are_inserted_with_few_statements_of_few_sizes() {
        let mut seen = BTreeSet::new();
        for rows in 1..=Dialect::INSERT_ROWS {
            let (mut left, mut sizes) = (rows, Vec::new());
            while left > 0 {
                sizes.push(insert_size(left));
                left -= insert_size(left);
            }
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            assert!(sizes.len() <= 5, "{sizes:?}");
            seen.extend(sizes);
        }
        assert_eq!(seen.len(), 28, "{seen:?}");
    }
}
