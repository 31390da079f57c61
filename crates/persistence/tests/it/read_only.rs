//! A server that became read-only, as the old primary does after a switch-over.

use std::time::Duration;

use persistence::{Database, DatabaseConfig, Readiness};
use sea_orm::ConnectionTrait as _;
use test_support::{
    create_database,
    provision::{Backend, DatabaseServer},
    wait_until,
};

use crate::support::{customer, top_up};

async fn open(url: &str) -> Database {
    Database::open(DatabaseConfig::new(url.to_owned().into())).await.expect("opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_told_from_one_that_is_away() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let mut server = DatabaseServer::start(backend).await.expect("a private database server");
    let url = create_database(server.url(), "platform").await.expect("a database");
    let admin = sea_orm::Database::connect(server.url()).await.expect("connects");
    let run = async |sql: &str| admin.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let privileged = open(&url).await;
    privileged.migrate().await.expect("migrates");
    run("CREATE USER 'plain'@'%' IDENTIFIED BY 'secret'").await;
    run("GRANT SELECT, INSERT, UPDATE, DELETE ON platform.* TO 'plain'@'%'").await;
    let (_, address) = url.rsplit_once('@').expect("credentials");
    let plain = open(&format!("mysql://plain:secret@{address}")).await;
    plain.assume_migrated();
    assert_eq!(plain.readiness().await, Readiness::Ok);
    plain.top_up(&top_up(1, 10)).await.expect("tops up");

    run("SET GLOBAL read_only = 1").await;
    assert_eq!(plain.readiness().await, Readiness::ReadOnly);
    assert!(plain.top_up(&top_up(1, 10)).await.expect_err("it is read-only").is_unavailable());
    let (balance, _) = plain.account(customer(1), None, 1).await.expect("reads go on");
    assert_eq!(balance.get(), 10);
    assert_eq!(privileged.readiness().await, Readiness::Ok, "an administrator is not bound by it");
    privileged.top_up(&top_up(1, 10)).await.expect("tops up");

    run("SET GLOBAL read_only = 0").await;
    wait_until(Duration::from_mins(1), "writes again", async || {
        (plain.readiness().await == Readiness::Ok && plain.top_up(&top_up(1, 10)).await.is_ok()).then_some(())
    })
    .await;
    server.kill().await.expect("dies");
    assert_eq!(plain.readiness().await, Readiness::Unavailable);
}
