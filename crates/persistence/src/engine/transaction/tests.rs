//! Whole transactions on real databases: what is run again, where, and what becomes of the connection.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use test_support::TestDatabase;

use super::*;
use crate::{DatabaseConfig, Error, Query};

/// A database with one connection, and one beside it.
async fn open(url: &str, timeout: Duration) -> (Database, DatabaseConnection) {
    let mut config = DatabaseConfig::new(url.to_owned().into());
    (config.max_connections, config.operation_timeout) = (1, timeout);
    let database = Database::open(config).await.expect("the URL is accepted");
    database.assume_migrated();
    (database, sea_orm::Database::connect(url).await.expect("connects"))
}

async fn number(db: &impl ConnectionTrait, sql: &str) -> Result<i64, StepError> {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(row.expect("one row").try_get_by_index(0)?)
}

/// The connections of all tries of an operation whose first tries, so many, end with this error of the server, and its
/// result.
async fn tries_of(database: &Database, failing: usize, error: u16, state: &str) -> (Vec<i64>, Result<(), Error>) {
    let connections = Mutex::new(Vec::new());
    let signal = format!("SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {error}, MESSAGE_TEXT = 'no'");
    let result = transaction!(database, Query::Ping, |tx| async {
        let connection = number(tx, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await?;
        let fails = {
            let mut connections = connections.lock().expect("no test panics here");
            connections.push(connection);
            connections.len() <= failing
        };
        if fails {
            tx.execute_unprepared(&signal).await?;
        }
        Ok(())
    })
    .await;
    (connections.into_inner().expect("no test panics here"), result)
}

#[tokio::test]
async fn an_error_tells_whether_and_where_a_transaction_is_run_again() {
    let server = TestDatabase::create(&test_support::database_url()).await;
    let (database, other) = open(server.url(), Duration::from_secs(30)).await;
    let contention = [(1020, "HY000"), (1205, "HY000"), (1213, "40001"), (1412, "HY000"), (3101, "40000")];
    for (error, state) in contention.into_iter().chain([(5999, "40001")]) {
        let (connections, result) = tries_of(&database, 1, error, state).await;
        result.unwrap_or_else(|failure| panic!("{error} ({state}): {}", failure.with_cause()));
        assert_eq!(connections.len(), 2, "{error} ({state})");
        assert_eq!(connections[0], connections[1], "{error} ({state}) says nothing of the connection");
    }
    let of_the_session = [
        (1036, "HY000"),
        (1047, "08S01"),
        (1053, "08S01"),
        (1158, "08S01"),
        (1290, "HY000"),
        (1615, "HY000"),
        (1792, "25006"),
        (1836, "HY000"),
        (2006, "HY000"),
        (2013, "HY000"),
        (3100, "HY000"),
        (9001, "HY000"),
        (5999, "08S01"),
    ];
    for (error, state) in of_the_session {
        let (connections, result) = tries_of(&database, 1, error, state).await;
        result.unwrap_or_else(|failure| panic!("{error} ({state}): {}", failure.with_cause()));
        assert_eq!(connections.len(), 2, "{error} ({state})");
        assert_ne!(connections[0], connections[1], "{error} ({state}) asks for another connection");
    }
    let mut last = 0;
    for (error, state) in [
        (3, "HY000"),
        (1021, "HY000"),
        (1317, "70100"),
        (1114, "HY000"),
        (1142, "42000"),
        (1180, "HY000"),
        (1105, "HY000"),
    ] {
        let (connections, result) = tries_of(&database, 1, error, state).await;
        assert!(result.expect_err("it is not run again").is_unavailable(), "{error} ({state})");
        assert_eq!(connections.len(), 1, "{error} ({state})");
        assert_ne!(connections[0], last, "{error} ({state}): its connection was closed");
        last = connections[0];
    }
    let (connections, result) = tries_of(&database, 1, 1048, "23000").await;
    assert!(matches!(result, Err(Error::Refused { .. })), "{result:?}");
    assert_eq!(connections.len(), 1);
    other.close().await.expect("closes");
    database.close().await;
    server.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_server_that_stays_read_only_is_not_asked_again_and_again() {
    let server = TestDatabase::create(&test_support::database_url()).await;
    let (database, other) = open(server.url(), Duration::from_secs(30)).await;
    let (connections, result) = tries_of(&database, usize::MAX, 1290, "HY000").await;
    assert!(result.expect_err("it takes no writes").is_unavailable());
    assert_eq!(connections.len(), 2, "once more, in case another server answers");
    let (connections, result) = tries_of(&database, usize::MAX, 1213, "40001").await;
    assert!(result.expect_err("it never wins").is_unavailable());
    assert_eq!(connections.len(), 6, "a deadlock is another matter");
    other.close().await.expect("closes");
    database.close().await;
    server.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_commit_without_an_answer_is_not_run_again() {
    let server = TestDatabase::create(&test_support::database_url()).await;
    let (database, other) = open(server.url(), Duration::from_secs(30)).await;
    let (database, tries) = (&database, AtomicU32::new(0));
    let result = transaction!(database, Query::Ping, |tx| async {
        tries.fetch_add(1, Ordering::SeqCst);
        let connection = number(tx, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await?;
        other.execute_unprepared(&format!("KILL {connection}")).await?;
        let sessions = test_support::sessions(number(&other, test_support::IS_MARIADB).await? == 1);
        let is_gone = format!("SELECT COUNT(*) FROM {sessions} AS session WHERE id = {connection}");
        test_support::wait_until(Duration::from_secs(30), "the connection's end", async || {
            (number(&other, &is_gone).await.expect("answers") == 0).then_some(())
        })
        .await;
        Ok(())
    })
    .await;
    assert!(result.expect_err("nobody knows what became of the commit").is_unavailable());
    assert_eq!(tries.load(Ordering::SeqCst), 1);
    other.close().await.expect("closes");
    database.close().await;
    server.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn an_operation_that_is_cut_off_closes_its_connection() {
    let server = TestDatabase::create(&test_support::database_url()).await;
    let folder = tempfile::tempdir().expect("a folder for the database");
    let file = format!("sqlite://{}/test.sqlite?mode=rwc", folder.path().display());
    for (url, mark, is_marked) in [
        (server.url(), "SET @mark = 1", "SELECT @mark IS NOT NULL"),
        (&*file, "PRAGMA cache_size = 4321", "SELECT cache_size = 4321 FROM pragma_cache_size"),
    ] {
        let (database, other) = open(url, Duration::from_millis(500)).await;
        let database = &database;
        other.execute_unprepared("CREATE TABLE written (id INT)").await.expect("creates");
        let cut_off = transaction!(database, Query::Ping, |tx| async {
            tx.execute_unprepared(mark).await?;
            tx.execute_unprepared("INSERT INTO written VALUES (1)").await?;
            std::future::pending::<Result<(), StepError>>().await
        })
        .await;
        assert!(cut_off.expect_err("its time is over").is_unavailable());
        let marked = test_support::wait_until(Duration::from_secs(30), "a connection", async || {
            reading!(database, Query::Ping, |db| number(db, is_marked)).await.ok()
        })
        .await;
        assert_eq!(marked, 0, "the connection was used again: {is_marked}");
        assert_eq!(number(&other, "SELECT COUNT(*) FROM written").await.expect("answers"), 0);
        other.close().await.expect("closes");
        database.close().await;
    }
    server.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_commit_that_fails_leaves_no_open_transaction_behind() {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let url = format!("sqlite://{}/test.sqlite?mode=rwc", folder.path().display());
    let (database, other) = open(&url, Duration::from_secs(30)).await;
    let database = &database;
    // Checked at the commit, which fails and leaves the transaction open.
    let child = "CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)";
    for table in ["CREATE TABLE parent (id INTEGER PRIMARY KEY)", child] {
        other.execute_unprepared(table).await.expect(table);
    }
    let insert = async |row: &str| {
        transaction!(database, Query::Ping, |tx| async {
            tx.execute_unprepared(row).await?;
            Ok(())
        })
        .await
    };
    for _ in 0..2 {
        let failed = insert("INSERT INTO child VALUES (7)").await.expect_err("it has no parent");
        // Whatever a commit is refused for: who takes a refused batch apart would run it again in pieces.
        assert!(failed.is_unavailable(), "{failed:?}");
    }
    insert("INSERT INTO parent VALUES (1)").await.expect("stored");
    assert_eq!(number(&other, "SELECT COUNT(*) FROM parent").await.expect("answers"), 1);
    assert_eq!(number(&other, "SELECT COUNT(*) FROM child").await.expect("answers"), 0);
    other.close().await.expect("closes");
    database.close().await;
}

#[tokio::test]
async fn a_transaction_that_somebody_left_open_is_not_written_in() {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let url = format!("sqlite://{}/test.sqlite?mode=rwc", folder.path().display());
    let (database, other) = open(&url, Duration::from_secs(30)).await;
    let database = &database;
    other.execute_unprepared("CREATE TABLE written (id INT)").await.expect("creates");
    let session = Session::take(database.connections()).await.expect("a connection");
    session.execute_unprepared("BEGIN").await.expect("begins");
    session.keep();
    transaction!(database, Query::Ping, |tx| async {
        tx.execute_unprepared("INSERT INTO written VALUES (1)").await?;
        Ok(())
    })
    .await
    .expect("stored");
    assert_eq!(number(&other, "SELECT COUNT(*) FROM written").await.expect("answers"), 1);
    other.close().await.expect("closes");
    database.close().await;
}
