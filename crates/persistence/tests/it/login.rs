//! Reaching a server and logging in there: odd passwords, other address families, and what is said when it fails.

use std::{net::Ipv6Addr, time::Duration};

use persistence::{Database, DatabaseConfig, Readiness};
use sea_orm::ConnectionTrait as _;
use test_support::{FaultProxy, TestDatabase};
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

/// What is reserved in a URL or in SQL, a `%` before two digits, and what is not ASCII.
const ODD_PASSWORD: &str = "p%41@/:?#[]!$&\"()*+,;= \u{e9}";
/// The same, percent-encoded.
const ODD_PASSWORD_IN_URL: &str = "p%2541%40%2F%3A%3F%23%5B%5D%21%24%26%22%28%29%2A%2B%2C%3B%3D%20%C3%A9";

async fn open(url: &str) -> Database {
    let mut config = DatabaseConfig::new(url.to_owned().into());
    config.operation_timeout = Duration::from_secs(30);
    Database::open(config).await.expect("the URL is accepted")
}

/// The URL of the test's database with another part of it.
fn url_with(database: &TestDatabase, change: impl FnOnce(&mut Url)) -> String {
    let mut url = Url::parse(database.url()).expect("a url");
    change(&mut url);
    url.into()
}

fn address(url: &Url) -> String {
    format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"))
}

#[tokio::test]
async fn an_odd_password_logs_in_without_tls() {
    let database = TestDatabase::create(&test_support::database_url()).await;
    let admin = sea_orm::Database::connect(database.url()).await.expect("connects");
    let version =
        admin.query_one_raw(sea_orm::Statement::from_string(admin.get_database_backend(), "SELECT VERSION()"));
    let version: String = version.await.expect("answers").expect("a row").try_get_by_index(0).expect("text");
    // MySQL's default, whose server knows nobody yet who has not logged in since it was started. MariaDB has it not.
    let plugin = if version.contains("MariaDB") { "" } else { "WITH caching_sha2_password" };
    let user = format!("u{}", &Uuid::now_v7().simple().to_string()[14..]);
    let statements = [
        format!("CREATE USER '{user}'@'%' IDENTIFIED {plugin} BY '{ODD_PASSWORD}'"),
        format!("GRANT ALL PRIVILEGES ON `{}`.* TO '{user}'@'%'", database.name()),
    ];
    for statement in statements {
        admin.execute_unprepared(&statement).await.expect("an account that may create users");
    }

    let server = Url::parse(database.url()).expect("a url");
    let (address, name) = (address(&server), database.name());
    let db = open(&format!("mysql://{user}:{ODD_PASSWORD_IN_URL}@{address}/{name}?ssl-mode=disabled")).await;
    let migrated = db.migrate().await;
    let readiness = db.readiness().await;
    db.close().await;
    admin.execute_unprepared(&format!("DROP USER '{user}'@'%'")).await.expect("the user is dropped");
    admin.close().await.expect("closes");
    migrated.expect("the password reaches the server as it is");
    assert_eq!(readiness, Readiness::Ok);
    database.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_server_is_reached_at_an_ipv6_address() {
    // A machine without IPv6 has nothing to show here.
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let database = TestDatabase::create(&test_support::database_url()).await;
    let proxy = FaultProxy::in_front_of_at(Ipv6Addr::LOCALHOST.into(), database.url()).await;
    let (_proxy, url) = proxy.expect("a proxy before the database");
    assert!(url.contains("@[::1]:"), "{url}");
    let db = open(&url).await;
    db.migrate().await.expect("the schema is made through the address");
    assert_eq!(db.readiness().await, Readiness::Ok, "the pool uses the address too");
    db.close().await;
    database.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn what_keeps_a_server_from_being_used_is_said_with_its_address() {
    let database = TestDatabase::create(&test_support::database_url()).await;
    let server = address(&Url::parse(database.url()).expect("a url"));
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address");
    let table = [
        (
            url_with(&database, |url| url.set_password(Some("hunter2")).expect("a password")),
            [&*server, "1045", "Access denied for user"],
        ),
        (url_with(&database, |url| url.set_path("nowhere")), [&*server, "1049", "Unknown database 'nowhere'"]),
        (
            url_with(&database, |url| url.set_port(Some(closed.port())).expect("a port")),
            [&*closed.to_string(), "refused", "not available while migrating"],
        ),
        (
            url_with(&database, |url| url.set_host(Some("nowhere.invalid")).expect("a host")),
            ["nowhere.invalid:", "lookup", "not available while migrating"],
        ),
    ];
    for (url, says) in &table {
        let error = open(url).await.migrate().await.expect_err("no way in");
        let text = error.with_cause();
        assert!(error.is_unavailable() && says.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    database.drop().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.db");
    for url in [
        "mysql://root:hunter2@127.0.0.1:3306".to_owned(),
        "mysql://root:hunter2@127.0.0.1:3306/name?ssl-mode=bogus".to_owned(),
        format!("sqlite://{}?mode=bogus", file.display()),
        "sqlite::memory:".to_owned(),
    ] {
        let refused = Database::open(DatabaseConfig::new(url.clone().into())).await.expect_err(&url).to_string();
        assert!(refused.starts_with("cannot use the database url: ") && !refused.contains("hunter2"), "{refused}");
    }
    assert!(!file.exists());
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_told_as_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let corrupt = folder.path().join("corrupt.db");
    std::fs::write(&corrupt, "this is no database, whatever its name says").expect("written");
    let missing = folder.path().join("missing/a.db");
    for (path, says) in [
        (&corrupt, "file is not a database"),
        (&missing, "unable to open database file"),
        (&folder.path().to_owned(), "unable to open database file"),
    ] {
        let config = DatabaseConfig::new(format!("sqlite://{}", path.display()).into());
        let text = match Database::open(config).await {
            Ok(db) => db.migrate().await.expect_err("nothing to open").with_cause(),
            Err(error) => error.with_cause(),
        };
        assert!(text.contains(says), "{}: {text}", path.display());
    }
}
