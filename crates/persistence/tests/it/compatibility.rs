//! The schema of another release: an older one is waited for, a newer one is worked on where it allows it.

use std::time::Duration;

use migrations::{CHANGES, Change, Migrator, Older, State, Step};
use persistence::{Database, DatabaseConfig, Error, Readiness};
use test_support::wait_until;
use tokio::task::JoinSet;

use crate::support::{Fixture, request, top_up};

const PATIENCE: Duration = Duration::from_mins(1);

/// A process on the fixture's database.
struct Process {
    db: Database,
    /// Ends when dropped.
    _preparing: JoinSet<()>,
}

impl Process {
    async fn start(f: &Fixture, migrate: bool) -> Self {
        let db = Database::open(DatabaseConfig::new(f.url.clone().into())).await.expect("opens");
        let mut preparing = JoinSet::new();
        preparing.spawn(db.clone().prepare(migrate));
        Self { db, _preparing: preparing }
    }

    async fn becomes(&self, wanted: Readiness) {
        wait_until(PATIENCE, wanted.as_str(), async || (self.db.readiness().await == wanted).then_some(())).await;
    }

    async fn works(&self) {
        self.becomes(Readiness::Ok).await;
        self.db.top_up(&top_up(1, 10)).await.expect("tops up");
        self.db.accept(&[request(1, &["111"])]).await.expect("accepts");
    }

    /// It refuses, and not by what the database says of a statement.
    async fn refuses(&self, why: Readiness) {
        self.becomes(why).await;
        let refused = self.db.top_up(&top_up(1, 10)).await;
        assert!(matches!(refused, Err(Error::Unavailable { source: None, .. })), "{refused:?}");
    }
}

/// A newer release: what this one knows, and a change that it does not know.
fn newer(older: Older) -> Migrator {
    const STEPS: &[Step] = &[Step::Column(
        "user_balances",
        "currency",
        "ALTER TABLE user_balances ADD COLUMN currency CHAR(3) NOT NULL DEFAULT 'EUR'",
    )];
    const BACK: &[&str] = &["ALTER TABLE user_balances DROP COLUMN currency"];
    with(older, STEPS, BACK)
}

fn with(older: Older, steps: &'static [Step], back: &'static [&'static str]) -> Migrator {
    let name = "m0099_of_a_newer_release";
    let change = Change { name, older, mysql: steps, mysql_down: back, sqlite: steps, sqlite_down: back };
    Migrator::new(CHANGES.iter().copied().chain([change]).collect::<Vec<_>>())
}

async fn state_of_newer(f: &Fixture) -> Option<State> {
    let all = migrations::status(&f.url).await.expect("reads");
    all.into_iter().find(|change| change.name.starts_with("m0099")).map(|change| change.state)
}

pub(crate) async fn a_schema_that_somebody_else_keeps_is_waited_for(f: &Fixture) {
    migrations::down(&f.url, None).await.expect("goes back");
    let process = Process::start(f, false).await;
    process.refuses(Readiness::SchemaMissing).await;
    Migrator::new(&CHANGES[..4]).up(&f.url).await.expect("an older release migrates");
    process.refuses(Readiness::SchemaMissing).await;
    migrations::up(&f.url).await.expect("migrates");
    process.works().await;
    migrations::down(&f.url, Some(1)).await.expect("goes back under a process that works");
    process.refuses(Readiness::SchemaMissing).await;
    migrations::up(&f.url).await.expect("goes forth again");
    process.works().await;
}

pub(crate) async fn a_change_taken_back_by_hand_stays_back(f: &Fixture) {
    let process = Process::start(f, true).await;
    process.works().await;
    migrations::down(&f.url, Some(1)).await.expect("goes back under a process that migrates at its start");
    process.refuses(Readiness::SchemaMissing).await;
    Process::start(f, true).await.works().await;
    process.works().await;
}

pub(crate) async fn a_newer_schema_that_leaves_us_working_is_left_alone(f: &Fixture) {
    let running = Process::start(f, true).await;
    running.works().await;
    newer(Older::GoOn).up(&f.url).await.expect("the newer release migrates");
    running.works().await;
    for migrate in [true, false] {
        Process::start(f, migrate).await.works().await;
    }
    migrations::up(&f.url).await.expect("has nothing to do");
    assert_eq!(state_of_newer(f).await, Some(State::Newer));

    let refused = migrations::down(&f.url, Some(1)).await.expect_err("that is not ours to take back");
    assert!(refused.to_string().contains("m0099_of_a_newer_release"), "{refused}");
    assert!(migrations::status(&f.url).await.expect("reads").iter().all(|change| change.state != State::Pending));
    newer(Older::GoOn).down(&f.url, Some(1)).await.expect("the newer release takes it back");
    assert_eq!(state_of_newer(f).await, None);
    migrations::down(&f.url, Some(1)).await.expect("this is ours");
    migrations::up(&f.url).await.expect("and forth");
}

pub(crate) async fn a_newer_schema_that_keeps_us_off_is_not_worked_on(f: &Fixture) {
    let running = Process::start(f, true).await;
    running.works().await;
    newer(Older::From(99)).up(&f.url).await.expect("the newer release migrates");
    running.refuses(Readiness::SchemaTooNew).await;
    for migrate in [true, false] {
        Process::start(f, migrate).await.refuses(Readiness::SchemaTooNew).await;
    }
    assert_eq!(state_of_newer(f).await, Some(State::TooNew));
    let refused = running.db.migrate().await.expect_err("standalone ends by this").with_cause();
    assert!(refused.contains("m0099_of_a_newer_release") && refused.contains("start that release"), "{refused}");
    assert!(!refused.contains('\n'), "{refused}");

    newer(Older::From(99)).down(&f.url, Some(1)).await.expect("the newer release takes it back");
    running.works().await;
}

pub(crate) async fn a_contraction_spares_those_that_know_what_it_rests_on(f: &Fixture) {
    let ours = u32::try_from(CHANGES.len()).expect("few");
    newer(Older::From(ours)).up(&f.url).await.expect("migrates");
    Process::start(f, false).await.works().await;
    newer(Older::From(ours + 1)).up(&f.url).await.expect("has nothing to do");
    assert_eq!(state_of_newer(f).await, Some(State::Newer), "what was said when it was made counts");
}

pub(crate) async fn a_newer_change_that_says_nothing_keeps_us_off(f: &Fixture) {
    f.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0099_unmarked', 0)").await;
    for migrate in [true, false] {
        Process::start(f, migrate).await.refuses(Readiness::SchemaTooNew).await;
    }
}

/// MySQL cannot take a change back that is cut off in its middle; SQLite does by itself.
pub(crate) async fn a_newer_change_cut_off_keeps_us_off_from_its_beginning(f: &Fixture) {
    const BROKEN: &[Step] = &[
        Step::Column(
            "user_balances",
            "currency",
            "ALTER TABLE user_balances ADD COLUMN currency CHAR(3) NOT NULL DEFAULT 'EUR'",
        ),
        Step::Repeatable("UPDATE there_is_no_such_table SET nothing = 1"),
    ];
    let release = with(Older::From(99), BROKEN, &[]);
    release.up(&f.url).await.expect_err("is cut off");
    let process = Process::start(f, true).await;
    if f.backend() == sea_orm::DbBackend::Sqlite {
        process.works().await;
    } else {
        process.refuses(Readiness::SchemaTooNew).await;
        // Back would take the change before it, and with that one what keeps older releases off.
        let back = release.down(&f.url, Some(1)).await;
        assert!(matches!(back, Err(migrations::Error::Unfinished { .. })), "{back:?}");
    }
    newer(Older::From(99)).up(&f.url).await.expect("the next try goes through");
    process.refuses(Readiness::SchemaTooNew).await;
    newer(Older::From(99)).down(&f.url, Some(1)).await.expect("goes back");
    process.works().await;
}

pub(crate) async fn the_table_of_compatibility_survives_a_cut_off(f: &Fixture) {
    f.execute("DELETE FROM seaql_migrations WHERE version LIKE 'm0006%'").await;
    let (one, two) = (Process::start(f, true).await, Process::start(f, true).await);
    one.works().await;
    two.works().await;
}
