//! A private database server: killed, restarted, paused; and one that was given.

use std::time::Duration;

use sqlx::{Connection as _, Row as _, mysql::MySqlConnection};
use test_support::{
    TestDatabase, database_url,
    provision::{Backend, DatabaseServer, Given},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);

async fn one(url: &str, query: &'static str) -> Result<i64, sqlx::Error> {
    let mut connection = MySqlConnection::connect(url).await?;
    let row = sqlx::query(query).fetch_one(&mut connection).await?;
    connection.close().await?;
    row.try_get(0)
}

async fn start() -> DatabaseServer {
    let backend = Backend::choose_private().expect("a way to start servers");
    DatabaseServer::start(backend).await.expect("a private database server")
}

#[tokio::test]
async fn a_killed_server_comes_back_on_the_same_port_with_its_data() {
    let mut server = start().await;
    let url = server.url().to_owned();
    let database = TestDatabase::create(&url).await;
    let mut connection = MySqlConnection::connect(database.url()).await.expect("the database takes connections");
    sqlx::raw_sql("CREATE TABLE kept (n INT) ENGINE=InnoDB; INSERT INTO kept VALUES (7)")
        .execute(&mut connection)
        .await
        .expect("a committed row");

    server.kill().await.expect("the server can be killed");
    assert!(connection.ping().await.is_err(), "the connection outlived the server");
    assert!(MySqlConnection::connect(&url).await.is_err(), "the killed server still takes connections");

    server.restart().await.expect("the server starts again");
    assert_eq!(server.url(), url);
    assert_eq!(one(database.url(), "SELECT n FROM kept").await.expect("the row is still there"), 7);

    server.restart().await.expect("a running server restarts too");
    assert_eq!(one(database.url(), "SELECT n FROM kept").await.expect("the row is still there"), 7);
}

#[tokio::test]
async fn a_paused_server_answers_only_after_it_is_resumed() {
    let mut server = start().await;
    let url = server.url().to_owned();
    server.pause().await.expect("the server can be paused");
    let paused = tokio::time::timeout(Duration::from_secs(1), one(&url, "SELECT 1")).await;
    assert!(paused.is_err(), "a paused server answered: {paused:?}");
    server.resume().await.expect("the server can be resumed");
    wait_until(PATIENCE, "an answer of the resumed server", async || one(&url, "SELECT 1").await.ok()).await;
}

#[tokio::test]
async fn servers_do_not_share_a_folder_for_temporary_files() {
    let (first, second) = (start().await, start().await);
    let folder = async |server: &DatabaseServer| {
        let mut connection = MySqlConnection::connect(server.url()).await.expect("connects");
        let row = sqlx::query("SELECT @@tmpdir, @@hostname").fetch_one(&mut connection).await.expect("answers");
        // In containers each has its own machine.
        (row.get::<String, _>(0), row.get::<String, _>(1))
    };
    assert_ne!(folder(&first).await, folder(&second).await);
}

#[tokio::test]
async fn a_dropped_server_is_gone_when_drop_returns() {
    let server = start().await;
    let url = server.url().to_owned();
    assert_eq!(one(&url, "SELECT 1").await.expect("it answers"), 1);
    drop(server);
    assert!(MySqlConnection::connect(&url).await.is_err(), "the dropped server still takes connections");
}

#[tokio::test]
async fn servers_have_room_for_many_connections_and_lose_no_commit() {
    let server = start().await;
    assert_eq!(one(server.url(), "SELECT CAST(@@max_connections AS SIGNED)").await.expect("an answer"), 500);
    assert_eq!(
        one(server.url(), "SELECT CAST(@@innodb_flush_log_at_trx_commit AS SIGNED)").await.expect("an answer"),
        1
    );
}

#[tokio::test]
async fn a_given_server_is_used_but_never_touched() {
    let mut server = DatabaseServer::start(Backend::Env(Given::ForTests)).await.expect("the given server answers");
    assert_eq!(server.url(), database_url());
    for refusal in [server.kill().await, server.stop().await, server.restart().await, server.pause().await] {
        let refusal = refusal.expect_err("a given server was touched").to_string();
        assert!(refusal.contains("not ours"), "{refusal}");
    }
    assert_eq!(one(server.url(), "SELECT 1").await.expect("it still answers"), 1);
}

#[tokio::test]
async fn test_databases_are_separate_and_go_away() {
    let (first, second) = (TestDatabase::create(&database_url()).await, TestDatabase::create(&database_url()).await);
    let mut connection = MySqlConnection::connect(first.url()).await.expect("the first database takes connections");
    sqlx::raw_sql("CREATE TABLE only_here (n INT)").execute(&mut connection).await.expect("a table");
    assert!(one(second.url(), "SELECT COUNT(*) FROM only_here").await.is_err(), "both tests see one table");

    let (first_url, second_url) = (first.url().to_owned(), second.url().to_owned());
    first.drop().await.expect("it can be dropped");
    drop(second);
    for url in [first_url, second_url] {
        assert!(one(&url, "SELECT 1").await.is_err(), "a database is left over");
    }
}
