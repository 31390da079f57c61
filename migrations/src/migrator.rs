//! Forward and back under a lock, by what one release knows. What a newer one has made is left alone.

use std::time::Duration;

use sea_orm_migration::{
    MigratorTraitSelf,
    prelude::*,
    sea_orm::{
        ColumnTrait as _, ConnectOptions, Database, DatabaseConnection, DbBackend, EntityTrait as _, QueryFilter as _,
        Statement,
    },
    seaql_migrations,
};

use crate::{
    Address,
    change::Change,
    compatibility::{self, Fit, Found},
};

/// How long a process waits for a server to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a process waits for another one that is migrating, in seconds.
const LOCK_WAIT_SECONDS: u32 = 120;

/// A migration that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The schema is that of a newer release, which this one must not work on.
    #[error(
        "the schema was changed by a newer release in a way that this one does not run on ({}): start that release or a newer \
         one, or take the change back with its `migrate down`",
        .by.join(", ")
    )]
    TooNew {
        /// The changes that forbid it.
        by: Vec<String>,
    },
    /// What is asked to be taken back lies below changes that this release does not know.
    #[error(
        "a newer release has changed the schema since ({}), and this one knows no way back from there: \
         take that back first, with the newer release's `migrate down`",
        .above.join(", ")
    )]
    NotOurs {
        /// The changes of the newer release.
        above: Vec<String>,
    },
    /// A change was cut off: only its way forward is known to be safe.
    #[error("a change was begun and not finished ({}): finish it first, with `migrate up`", .changes.join(", "))]
    Unfinished {
        /// The changes.
        changes: Vec<String>,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// A change, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub state: State,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was made.
    Applied,
    /// It was not made.
    Pending,
    /// A newer release made it, and this one may work on it.
    Newer,
    /// A newer release made it, and this one must not work on it.
    TooNew,
}

impl State {
    /// As `migrate` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Newer => "newer",
            Self::TooNew => "too-new",
        }
    }
}

/// The changes that a release knows, oldest first.
#[derive(Debug, Clone)]
pub struct Migrator {
    known: Vec<Change>,
}

impl Migrator {
    /// That of a release with these changes.
    pub fn new(known: impl Into<Vec<Change>>) -> Self {
        Self { known: known.into() }
    }

    /// Brings the database at `url` to the newest schema that this release knows.
    ///
    /// # Errors
    /// [`Error::TooNew`] where a newer release has gone further than this one can follow; nothing is changed then.
    pub async fn up(&self, url: &str) -> Result<(), Error> {
        let db = connect(url).await?;
        let work = async {
            if let Fit::TooNew(by) = self.inspect(&db).await? {
                return Err(Error::TooNew { by });
            }
            Ok(MigratorTraitSelf::up(self, &db, None).await?)
        };
        let result = under_lock(&db, work).await;
        close(db, result).await
    }

    /// Takes back the newest `count` changes, or all of them.
    ///
    /// # Errors
    /// [`Error::NotOurs`] where a newer release has made changes since, [`Error::Unfinished`] where a change was cut off;
    /// nothing is changed then.
    pub async fn down(&self, url: &str, count: Option<u32>) -> Result<(), Error> {
        let db = connect(url).await?;
        let work = async {
            let found = Found::read(&db).await?;
            let above: Vec<String> = found.unknown(&self.known).cloned().collect();
            if !above.is_empty() {
                return Err(Error::NotOurs { above });
            }
            let changes: Vec<String> = found.unfinished(&self.known).cloned().collect();
            if !changes.is_empty() {
                return Err(Error::Unfinished { changes });
            }
            Ok(MigratorTraitSelf::down(self, &db, count).await?)
        };
        let result = under_lock(&db, work).await;
        close(db, result).await
    }

    /// What became of each change: those of this release, oldest first, then those it does not know. Changes nothing.
    pub async fn status(&self, url: &str) -> Result<Vec<Status>, Error> {
        let db = connect(url).await?;
        let found = Found::read(&db).await;
        let found = close(db, found.map_err(Error::from)).await?;
        let ours = self.known.iter().map(|change| {
            let state = if found.applied.contains(change.name) { State::Applied } else { State::Pending };
            Status { name: change.name.to_owned(), state }
        });
        let release = compatibility::number(&self.known);
        let theirs = found.unknown(&self.known).map(|name| {
            let state = if found.allows(name, release) { State::Newer } else { State::TooNew };
            Status { name: name.clone(), state }
        });
        Ok(ours.chain(theirs).collect())
    }

    /// How the schema fits this release. A few short queries, which change nothing.
    pub async fn inspect(&self, db: &impl ConnectionTrait) -> Result<Fit, DbErr> {
        Ok(Found::read(db).await?.fit(&self.known))
    }
}

#[async_trait::async_trait]
impl MigratorTraitSelf for Migrator {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        self.known.iter().map(|change| Box::new(*change) as Box<dyn MigrationTrait>).collect()
    }

    /// Only those of this release: sea-orm takes a record that it does not know for a lost file and refuses to go on.
    async fn get_migration_models<C>(&self, db: &C) -> Result<Vec<seaql_migrations::Model>, DbErr>
    where
        C: ConnectionTrait,
    {
        self.install(db).await?;
        let known = self.known.iter().map(|change| change.name);
        seaql_migrations::Entity::find().filter(seaql_migrations::Column::Version.is_in(known)).all(db).await
    }
}

/// One connection only: MySQL's named lock belongs to the connection that took it.
async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let address = Address::parse(url).map_err(|error| DbErr::Custom(error.to_string()))?;
    address.reach(CONNECT_TIMEOUT).await?;
    let mut options = ConnectOptions::new(address.url());
    options.max_connections(1).sqlx_logging(false).acquire_timeout(CONNECT_TIMEOUT);
    // The lock must outlive the longest ALTER, and its connection with it.
    options.max_lifetime(None).idle_timeout(None);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true).busy_timeout(Duration::from_secs(30)));
    options.map_sqlx_mysql_opts(move |mysql| address.adjust(mysql));
    Database::connect(options).await
}

async fn close<T>(db: DatabaseConnection, result: Result<T, Error>) -> Result<T, Error> {
    db.close().await?;
    result
}

async fn under_lock(db: &DatabaseConnection, work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    if db.get_database_backend() != DbBackend::MySql {
        // SQLite's write lock, taken before anything is looked at; its DDL rolls back.
        db.execute_unprepared("BEGIN IMMEDIATE").await?;
        let result = work.await;
        let ended = db.execute_unprepared(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        // What went wrong first is what is told: a full disk has ended the transaction by itself.
        return result.and_then(|()| Ok(ended.map(drop)?));
    }
    // The name is per database, for servers are shared and schemas are not; it may have 64 characters.
    let lock = "CONCAT('messaging_platform.migrations.', LEFT(SHA2(DATABASE(), 256), 32))";
    let take = format!("SELECT GET_LOCK({lock}, {LOCK_WAIT_SECONDS}) AS taken");
    let row = db.query_one_raw(Statement::from_string(DbBackend::MySql, take)).await?;
    let taken: Option<i64> = row.map(|row| row.try_get("", "taken")).transpose()?.flatten();
    if taken != Some(1) {
        let wait =
            format!("another process has been migrating for over {LOCK_WAIT_SECONDS} s; look at it, then start again");
        return Err(DbErr::Migration(wait).into());
    }
    let result = work.await;
    let released = db.execute_unprepared(&format!("DO RELEASE_LOCK({lock})")).await;
    result.and_then(|()| Ok(released.map(drop)?))
}
