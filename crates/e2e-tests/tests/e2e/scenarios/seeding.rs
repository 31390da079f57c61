//! Balances given by the load generator are balances like any other.

use loadtest::{Tables, Target, seed_database, seed_http};

use crate::{client::Kind, platform::Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeded_balances_have_their_ledger_and_can_be_spent() {
    let mut platform = Setup::new().start().await;
    let mut tables = Tables::connect(platform.tables.url()).await.expect("connects");
    seed_database(platform.tables.url(), 600, 70).await.expect("seeds in the database");
    seed_database(platform.tables.url(), 2, 30).await.expect("adds to what is there");
    let api = Target::parse(&platform.gateway.base_url()).expect("a base URL");
    seed_http(&api, 3, 500).await.expect("seeds through the API");
    for (user, expected) in [(1, 600), (2, 600), (3, 570), (4, 70), (600, 70)] {
        assert_eq!(platform.client.balance(user).await.balance, expected, "user {user}");
    }
    platform.send(600, Kind::Express, &["+4915100000001"]).await;
    platform.wait_all_terminal().await;
    assert_eq!(tables.ledger_mismatches().await.expect("counts"), 0);
    // The checker would miss these top-ups in its journal; what it says of money is asked here.
    platform.simulator.stop().await;
}
