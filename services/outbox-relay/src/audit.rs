//! The ledger audit: now and then, all users in slices, is each balance the sum of its ledger?
//!
//! Every relay audits by itself. Several are harmless, for an audit only reads; where its cost matters, all but one
//! can have `LEDGER_AUDIT_INTERVAL_SECS=0`.

use std::time::Duration;

use persistence::{Database, Error, LedgerSlice};
use rand::RngExt as _;
use telemetry::names;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Users of one slice, which is one statement.
const SLICE_USERS: u64 = 200;
/// The least pause between two slices; otherwise as long as the slice took, so that a round asks for at most half of
/// one connection.
const PAUSE: Duration = Duration::from_millis(20);
/// User ids that the log names.
const NAMED_USERS: usize = 5;

/// Audits at once, and then `every` so often.
pub(crate) async fn run(every: Duration, database: Database, stop: CancellationToken) {
    loop {
        if stop.run_until_cancelled(database.migrated()).await.is_none() {
            return;
        }
        match stop.run_until_cancelled(Box::pin(round(&database))).await {
            None => return,
            Some(Ok(round)) => round.report(),
            Some(Err(error)) => {
                let error = error.with_cause();
                tracing::warn!(outage = "database", error, "the ledger audit was given up, trying again later");
            }
        }
        // Replicas must not read all at once.
        let pause = every.mul_f64(rand::rng().random_range(0.8..=1.0));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// What one round over all users found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Round {
    users: u64,
    mismatches: u64,
    /// The first few users with a mismatch.
    named: Vec<i64>,
    /// Users whose ledger is too long to be added up in the time that an operation has.
    skipped: u64,
}

/// What an audit reads: the database, and in tests one that fails where it is told to.
trait Ledger {
    async fn slice(&self, after: Option<i64>, users: u64) -> Result<LedgerSlice, Error>;
    async fn user_after(&self, after: Option<i64>) -> Result<Option<i64>, Error>;
}

impl Ledger for Database {
    async fn slice(&self, after: Option<i64>, users: u64) -> Result<LedgerSlice, Error> {
        self.audit_ledger(after, users).await
    }

    async fn user_after(&self, after: Option<i64>) -> Result<Option<i64>, Error> {
        self.user_after(after).await
    }
}

async fn round(ledger: &impl Ledger) -> Result<Round, Error> {
    let mut round = Round::default();
    let (mut after, mut users) = (None, SLICE_USERS);
    loop {
        let started = Instant::now();
        match ledger.slice(after, users).await {
            Ok(slice) => {
                let next = slice.next;
                round.add(slice);
                let Some(last) = next else { return Ok(round) };
                after = Some(last);
                users = (users * 2).min(SLICE_USERS);
            }
            // Too much for one statement, perhaps: fewer users.
            Err(error) if users > 1 => {
                tracing::debug!(error = error.with_cause(), users, "a slice of the ledger audit failed");
                users = (users / 8).max(1);
            }
            // One user alone is too much, or the database is away: then this fails too.
            Err(error) => {
                let Some(user_id) = ledger.user_after(after).await? else { return Ok(round) };
                let error = error.with_cause();
                tracing::warn!(error, user_id, "the ledger of this user could not be audited; it is skipped");
                round.skipped += 1;
                after = Some(user_id);
            }
        }
        tokio::time::sleep(started.elapsed().max(PAUSE)).await;
    }
}

impl Round {
    fn add(&mut self, slice: LedgerSlice) {
        self.users += slice.users;
        self.mismatches += slice.mismatched.len() as u64;
        let room = NAMED_USERS.saturating_sub(self.named.len());
        self.named.extend(slice.mismatched.into_iter().take(room));
    }

    fn report(&self) {
        let Self { users, mismatches, named, skipped } = self;
        metrics::gauge!(names::LEDGER_MISMATCHES).set(*mismatches as f64);
        if *skipped == 0 {
            metrics::counter!(names::LEDGER_AUDITS_TOTAL).increment(1);
        }
        if *mismatches > 0 {
            tracing::error!(mismatches, first_users = ?named, "balances differ from the sums of their ledgers");
        }
        tracing::debug!(users, skipped, "the ledger was audited");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use settings::Source;

    use super::*;
    use crate::RelayConfig;

    /// Users 1 to `users`, of whom every 100th has a mismatch. Slices with one of `too_long` fail, and everything does
    /// when `is_away`.
    #[derive(Default)]
    struct Staged {
        users: i64,
        too_long: Vec<i64>,
        is_away: bool,
        slices: Cell<u64>,
    }

    fn unavailable() -> Error {
        Error::Unavailable { doing: "auditing the ledger", source: None }
    }

    impl Ledger for Staged {
        async fn slice(&self, after: Option<i64>, users: u64) -> Result<LedgerSlice, Error> {
            self.slices.set(self.slices.get() + 1);
            let first = after.unwrap_or(0) + 1;
            let last = self.users.min(first - 1 + i64::try_from(users).unwrap());
            if self.is_away || self.too_long.iter().any(|user| (first..=last).contains(user)) {
                return Err(unavailable());
            }
            let compared = u64::try_from(last + 1 - first).unwrap();
            let mismatched = (first..=last).filter(|user| user % 100 == 0).collect();
            Ok(LedgerSlice { users: compared, mismatched, next: (compared == users).then_some(last) })
        }

        async fn user_after(&self, after: Option<i64>) -> Result<Option<i64>, Error> {
            let next = after.unwrap_or(0) + 1;
            if self.is_away { Err(unavailable()) } else { Ok((next <= self.users).then_some(next)) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_compares_all_users_in_slices() {
        let ledger = Staged { users: 1_000, ..Staged::default() };
        let found = round(&ledger).await.expect("reads");
        let named = vec![100, 200, 300, 400, 500];
        assert_eq!(found, Round { users: 1_000, mismatches: 10, named, skipped: 0 });
        assert_eq!(ledger.slices.get(), 1_000 / SLICE_USERS + 1);
        assert_eq!(round(&Staged::default()).await.expect("reads"), Round::default());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_is_too_long_is_skipped_alone() {
        for too_long in [vec![1], vec![450], vec![1_000], vec![7, 8, 650]] {
            let skipped = too_long.len() as u64;
            let ledger = Staged { users: 1_000, too_long: too_long.clone(), ..Staged::default() };
            let found = round(&ledger).await.expect("reads");
            assert_eq!((found.users, found.skipped), (1_000 - skipped, skipped), "{too_long:?}");
            assert!(ledger.slices.get() < 200, "{too_long:?}: {} slices", ledger.slices.get());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_ends_when_the_database_is_away() {
        let ledger = Staged { users: 1_000, is_away: true, ..Staged::default() };
        round(&ledger).await.expect_err("nothing can be read");
        assert!(ledger.slices.get() < 10);
    }

    #[test]
    fn zero_switches_the_audit_off() {
        let every = |value: &str| {
            let source = Source::from_pairs([("LEDGER_AUDIT_INTERVAL_SECS", value)]);
            RelayConfig::load(&source).expect("accepted").ledger_audit
        };
        let expected = (Some(Duration::from_mins(5)), None, Some(Duration::from_secs(7)));
        assert_eq!((every(""), every("0"), every("7")), expected);
    }
}
