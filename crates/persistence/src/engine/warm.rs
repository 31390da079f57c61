//! Connections kept back from the pool between operations. The pool asks each that comes back whether it lives: a round trip for every
//! transaction, for which a connection that was used just now has no need.

use std::{
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    SqlxError,
    sqlx::{MySql, MySqlPool, pool::PoolConnection},
};
use tokio::{runtime::Handle, time::Instant};

/// So long after it was taken out a connection goes back to the pool, which looks after it: whether it lives, and how long it may.
const OUT_AT_MOST: Duration = Duration::from_secs(1);

/// A connection of the pool, and since when it is out.
pub(crate) struct Taken {
    pub(crate) connection: PoolConnection<MySql>,
    since: Instant,
}

/// The connections that are kept back, used last first. As many as the pool has at most.
#[derive(Default)]
pub(crate) struct Warm {
    kept: Mutex<Vec<Taken>>,
    /// Those who wait for the pool: they must not wait for what is kept back.
    waiting: AtomicUsize,
    /// The pool is being closed, which waits for all connections.
    closed: AtomicBool,
}

impl Warm {
    /// One that is kept back, or one of the pool.
    pub(crate) async fn take(&self, pool: &MySqlPool) -> Result<Taken, SqlxError> {
        if let Some(taken) = self.take_kept() {
            return Ok(taken);
        }
        let _waiting = Waiting::of(self);
        // Who kept one back before it saw us waiting has done so by now; who does later gives it to the pool.
        if let Some(taken) = self.take_kept() {
            return Ok(taken);
        }
        Ok(Taken { connection: pool.acquire().await?, since: Instant::now() })
    }

    /// Keeps it back for the next, unless somebody waits for the pool or it has been out for long.
    pub(crate) fn keep(&self, taken: Taken) {
        if taken.is_stale() {
            return;
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
        if self.waiting.load(Ordering::SeqCst) > 0 || self.closed.load(Ordering::SeqCst) {
            self.give_back();
        }
    }

    /// How many are kept back.
    pub(crate) fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Gives all to the pool, now and from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.give_back();
    }

    fn give_back(&self) {
        // Dropped outside of the lock.
        let kept = mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        drop(kept);
    }

    fn take_kept(&self) -> Option<Taken> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut fresh, stale): (Vec<_>, Vec<_>) =
            mem::take(&mut *kept).into_iter().partition(|taken| !taken.is_stale());
        let taken = fresh.pop();
        *kept = fresh;
        drop(kept);
        drop(stale);
        taken
    }
}

/// With its pool, which is given up because its server does not answer: nor would it to the pool's question.
impl Drop for Warm {
    fn drop(&mut self) {
        let kept = mem::take(self.kept.get_mut().unwrap_or_else(PoisonError::into_inner));
        for Taken { mut connection, .. } in kept {
            if Handle::try_current().is_ok() {
                connection.close_on_drop();
            } else {
                // A pooled one needs a runtime to be dropped in.
                drop(connection.leak());
            }
        }
    }
}

impl Taken {
    fn is_stale(&self) -> bool {
        self.since.elapsed() >= OUT_AT_MOST
    }
}

/// Somebody who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(warm: &'a Warm) -> Self {
        warm.waiting.fetch_add(1, Ordering::SeqCst);
        Self(&warm.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_support::{TestDatabase, wait_until};
    use tokio::task::JoinSet;

    use crate::{
        Database, DatabaseConfig,
        engine::Session,
        samples::{customer, session_counter},
    };

    /// A database of which one connection at most is open.
    async fn begun() -> (TestDatabase, Database) {
        let server = TestDatabase::create(&test_support::database_url()).await;
        let mut config = DatabaseConfig::new(server.url().to_owned().into());
        config.max_connections = 1;
        config.operation_timeout = Duration::from_secs(30);
        let db = Database::open(config).await.expect("the URL is accepted");
        db.migrate().await.expect("migrates");
        (server, db)
    }

    /// How often the one connection was asked whether it lives.
    async fn asked(db: &Database) -> u64 {
        session_counter(db, "Com_admin_commands").await
    }

    #[tokio::test]
    async fn a_connection_that_was_used_just_now_is_not_asked_whether_it_lives() {
        let (server, db) = begun().await;
        // Not the first time where it goes stale meanwhile.
        wait_until(Duration::from_secs(30), "uses without a question", async || {
            let before = asked(&db).await;
            for _ in 0..5 {
                db.account(customer(1), None, 1).await.expect("answers");
            }
            (asked(&db).await == before).then_some(())
        })
        .await;
        // What is kept back is idle too.
        wait_until(Duration::from_secs(30), "an idle connection", async || (db.pool_use() == (1, 1)).then_some(()))
            .await;
        db.close().await;
        assert_eq!(db.pool_use(), (0, 0));
        server.drop().await.expect("the database is dropped");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_connection_that_is_kept_back() {
        let (server, db) = begun().await;
        let mut running = JoinSet::new();
        for _ in 0..200 {
            let db = db.clone();
            running.spawn(async move { db.account(customer(1), None, 1).await.map(drop) });
        }
        for ended in running.join_all().await {
            ended.expect("in time");
        }
        db.close().await;
        server.drop().await.expect("the database is dropped");
    }

    #[tokio::test]
    async fn what_is_in_use_while_the_pool_is_closed_is_not_kept_back() {
        let (server, db) = begun().await;
        let session = Session::take(db.connections()).await.expect("a connection");
        let closing = {
            let db = db.clone();
            async move { db.close().await }
        };
        let closing = JoinSet::from_iter([closing]);
        wait_until(Duration::from_secs(30), "a pool that is closed", async || {
            db.connections().pool.get_mysql_connection_pool().is_closed().then_some(())
        })
        .await;
        session.keep();
        closing.join_all().await;
        assert_eq!(db.connections().warm.len(), 0);
        server.drop().await.expect("the database is dropped");
    }

    #[test]
    fn a_database_may_be_dropped_after_its_runtime() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (server, db) = runtime.block_on(async {
            let (server, db) = begun().await;
            db.account(customer(1), None, 1).await.expect("answers");
            (server, db)
        });
        drop(runtime);
        drop(db);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(server.drop()).expect("the database is dropped");
    }
}
