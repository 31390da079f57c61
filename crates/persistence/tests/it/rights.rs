//! The accounts that `docs/accounts.md` describes: one changes the schema, the other does all that services do.

use std::time::Duration;

use persistence::{Database, DatabaseConfig};
use uuid::Uuid;

use crate::support::Fixture;

const GUIDE: &str = include_str!("../../../../docs/accounts.md");

/// A database on the server whose operations run as the services' account; plain SQL stays an administrator's.
struct Documented {
    fixture: Fixture,
    migrating: String,
    accounts: [String; 2],
}

impl Documented {
    async fn create() -> Self {
        let mut fixture = Fixture::empty_server().await;
        let unique = Uuid::now_v7().simple().to_string().split_off(12);
        let accounts = [format!("user_{unique}"), format!("migrate_{unique}")];
        let (_, place) = fixture.url.rsplit_once('@').expect("the server's URL has an account");
        let (place, name) = (place.to_owned(), place.rsplit('/').next().expect("and a database").to_owned());
        for statement in statements() {
            let statement = statement
                .replace("messaging_platform", &name)
                .replace("message_user", &accounts[0])
                .replace("message_migrate", &accounts[1])
                .replace("CHANGE_ME", &unique);
            fixture.execute(&statement).await;
        }
        let url = |account: &str| format!("mysql://{account}:{unique}@{place}");
        let (serving, migrating) = (url(&accounts[0]), url(&accounts[1]));
        migrations::up(&migrating).await.expect("the account for migrations may migrate");
        let mut config = DatabaseConfig::new(serving.into());
        config.operation_timeout = Duration::from_secs(30);
        let serving = Database::open(config).await.expect("the URL is accepted");
        tokio::select! {
            () = serving.clone().prepare(false) => unreachable!("it watches the schema without end"),
            () = serving.migrated() => {}
        }
        std::mem::replace(&mut fixture.db, serving).close().await;
        Self { fixture, migrating, accounts }
    }

    async fn remove(self) {
        for account in &self.accounts {
            self.fixture.execute(&format!("DROP USER '{account}'@'%'")).await;
        }
        self.fixture.remove().await;
    }
}

/// The documented statements.
fn statements() -> impl Iterator<Item = &'static str> {
    let (_, block) = GUIDE.split_once("```sql\n").expect("the guide has SQL");
    let (block, _) = block.split_once("```").expect("the block ends");
    block.split(';').map(str::trim).filter(|statement| !statement.is_empty())
}

/// Cases of the suite that together use every operation of the services.
macro_rules! with_documented_rights {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        mod services {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let documented = super::Documented::create().await;
                crate::$module::$case(&documented.fixture).await;
                documented.remove().await;
            })*)*
        }
    };
}

with_documented_rights! {
    accept: the_same_key_replays_the_first_answer, concurrent_batches_never_overspend;
    ledger: a_repeated_top_up_adds_once, entries_are_paged_without_gaps;
    history: filters_narrow_the_list;
    audit: slices_follow_each_other_by_user;
    outbox:
        events_are_claimed_in_order_by_lane, expired_claims_are_rescued, released_events_cost_no_try,
        put_off_events_wait_and_come_back, a_given_up_event_fails_and_refunds_its_message_once,
        old_events_and_keys_are_purged, the_backlog_is_counted, published_events_are_counted_for_a_while,
        stuck_messages_are_published_again;
    delivery: failed_recipients_alone_are_refunded, a_deferred_message_is_published_again;
    late: a_receipt_before_a_late_answer_is_joined_with_it;
}

#[tokio::test]
async fn the_account_for_migrations_takes_them_back_and_the_services_account_may_not_migrate() {
    let documented = Documented::create().await;
    migrations::down(&documented.migrating, None).await.expect("goes back");
    documented.fixture.db.migrate().await.expect_err("it has no right to change the schema");
    migrations::up(&documented.migrating).await.expect("goes forth");
    documented.fixture.fund(1, 10).await;
    documented.remove().await;
}
