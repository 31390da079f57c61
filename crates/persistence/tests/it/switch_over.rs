//! A switch-over: the name leads to another server now, the old one has become read-only, and the connections to it are
//! still open.

use std::{net::SocketAddr, time::Duration};

use persistence::{Database, DatabaseConfig};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, TransactionTrait as _};
use test_support::{
    FaultProxy, create_database,
    provision::{Backend, DatabaseServer},
    wait_until,
};
use tokio::task::JoinSet;

use crate::support::{customer, top_up};

const CONNECTIONS: u32 = 20;
/// What the platform promises from the switch to the last failed write.
const LAST_FAILURE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);

/// A server with the schema, and an account that must obey `read_only`.
struct Side {
    server: DatabaseServer,
    admin: DatabaseConnection,
    address: SocketAddr,
}

impl Side {
    async fn start(backend: Backend) -> Self {
        let server = DatabaseServer::start(backend).await.expect("a private database server");
        let url = create_database(server.url(), "platform").await.expect("a database");
        let owner = Database::open(DatabaseConfig::new(url.clone().into())).await.expect("opens");
        owner.migrate().await.expect("migrates");
        owner.close().await;
        let admin = sea_orm::Database::connect(&url).await.expect("connects");
        for statement in [
            "CREATE USER 'app'@'%' IDENTIFIED BY 'app-password'",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON platform.* TO 'app'@'%'",
        ] {
            admin.execute_unprepared(statement).await.expect(statement);
        }
        let address = server.url().rsplit('@').next().expect("an address").parse().expect("an address");
        Self { server, admin, address }
    }
}

/// As many writes at once as there are connections; how many of them failed.
async fn failures(db: &Database) -> usize {
    let mut writes = JoinSet::new();
    for user in 1..=i64::from(CONNECTIONS) {
        let db = db.clone();
        writes.spawn(async move { db.top_up(&top_up(user, 1)).await.is_err() });
    }
    writes.join_all().await.into_iter().filter(|failed| *failed).count()
}

/// Makes all connections to the server open, by writes that have to wait for each other.
async fn fill_pool(db: &Database, admin: &DatabaseConnection) {
    wait_until(PATIENCE, "balances", async || (failures(db).await == 0).then_some(())).await;
    let held = admin.begin().await.expect("begins");
    held.execute_unprepared("SELECT user_id FROM user_balances FOR UPDATE").await.expect("locks all balances");
    let release = async {
        wait_until(PATIENCE, "all connections", async || (db.pool_use().0 == CONNECTIONS).then_some(())).await;
        held.rollback().await.expect("rolls back");
    };
    tokio::join!(failures(db), release);
    wait_until(PATIENCE, "idle connections", async || (db.pool_use() == (CONNECTIONS, CONNECTIONS)).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_switch_over_writes_work_again_at_once() {
    let backend = Backend::choose_private().expect("a way to start servers");
    let (old, new) = tokio::join!(Side::start(backend), Side::start(backend));
    let proxy = FaultProxy::start(old.address).await.expect("a proxy");
    let mut config = DatabaseConfig::new(format!("mysql://app:app-password@{}/platform", proxy.address()).into());
    config.max_connections = CONNECTIONS;
    let db = Database::open(config).await.expect("opens");
    db.assume_migrated();
    fill_pool(&db, &old.admin).await;

    old.admin.execute_unprepared("SET GLOBAL read_only = 1").await.expect("the old server can be made read-only");
    let refused = db.top_up(&top_up(1, 1)).await.expect_err("the server takes no writes");
    assert!(refused.is_unavailable(), "{refused:?}");
    let (balance, _) = db.account(customer(1), None, 1).await.expect("it can still be read from");
    assert!(balance.get() > 0);

    proxy.redirect(new.address).await;
    wait_until(LAST_FAILURE, "a round of writes without a failure", async || (failures(&db).await == 0).then_some(()))
        .await;
    // It was no luck: no connection to the old server is left that another write could meet.
    for round in 0..20 {
        assert_eq!(failures(&db).await, 0, "in round {round}");
    }
    db.close().await;
    for side in [old, new] {
        side.admin.close().await.expect("closes");
        drop(side.server);
    }
}
