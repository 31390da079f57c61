//! A database file on a disk that is full for a while: what is answered is stored, and nothing else is.

use persistence::{AcceptOutcome, Database, DatabaseConfig, Error};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use test_support::SmallDisk;

use crate::support::{customer, request, top_up};

const DISK: u64 = 2 << 20;

/// What another process sees of a customer.
async fn stored_balance(sql: &DatabaseConnection) -> i64 {
    let question = "SELECT balance FROM user_balances WHERE user_id = 1";
    let row = sql.query_one_raw(Statement::from_string(sql.get_database_backend(), question)).await.expect("answers");
    row.expect("one row").try_get_by_index(0).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_is_in_the_file_whatever_a_full_disk_undid() {
    let disk = SmallDisk::mount(DISK).expect("the right to mount");
    let url = format!("sqlite://{}/test.sqlite?mode=rwc", disk.path().display());
    let db = Database::open(DatabaseConfig::new(url.clone().into())).await.expect("the URL is accepted");
    db.migrate().await.expect("migrates");
    let other = sea_orm::Database::connect(&url).await.expect("connects");
    db.top_up(&top_up(1, 5_000)).await.expect("room");
    let many: Vec<String> = (0..1_000).map(|number| format!("+98912{number:07}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();

    let mut expected = 5_000;
    for _ in 0..2 {
        disk.fill().expect("fills");
        for _ in 0..3 {
            let full = db.accept(&[request(1, &many)]).await.expect_err("no room");
            assert!(matches!(full, Error::Unavailable { source: Some(_), .. }), "{full:?}");
            assert!(db.top_up(&top_up(1, 1)).await.expect_err("no room").is_unavailable());
        }
        assert_eq!(stored_balance(&other).await, expected, "nothing was answered, nothing is stored");
        disk.free().expect("frees");

        let outcome = db.accept(&[request(1, &["+989120000001", "+989120000002"])]).await.expect("room again");
        assert!(matches!(outcome[..], [AcceptOutcome::Accepted(_)]));
        expected -= 2;
        assert_eq!(stored_balance(&other).await, expected, "it was answered, and it is stored");
        let (balance, _) = db.account(customer(1), None, 1).await.expect("answers");
        assert_eq!(balance.get(), expected);
    }
    other.close().await.expect("closes");
    db.close().await;
}
