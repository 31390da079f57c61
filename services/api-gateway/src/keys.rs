//! The API keys in use, looked up once in ten seconds each: so long may a revoked one go on.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::KeyHash;
use persistence::{Database, Error, KeyStanding, KeyUse};
use service_kit::Scope;
use tokio_util::sync::CancellationToken;

/// How long an answer of the database is good for.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);
/// Keys that are remembered at most, known and unknown ones apart: 20 MB. With more all start anew.
const MAX_REMEMBERED: usize = 100_000;
/// How often the use of keys is recorded.
const RECORD_EVERY: Duration = Duration::from_mins(1);
/// How soon the search for an admin key is tried again while the database does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The keys. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keys {
    database: Database,
    shared: Arc<Shared>,
}

struct Shared {
    known: Mutex<Memory<Arc<KeyUse>>>,
    /// Apart, so that garbage does not push out what is known.
    unknown: Mutex<Memory<()>>,
    /// Rows of keys that were used since this was last recorded.
    used: Mutex<HashSet<i64>>,
}

impl Keys {
    pub(crate) fn start(database: &Database, scope: &Scope) -> Self {
        let shared = Shared {
            known: Mutex::new(Memory::new(MAX_REMEMBERED)),
            unknown: Mutex::new(Memory::new(MAX_REMEMBERED)),
            used: Mutex::default(),
        };
        let keys = Self { database: database.clone(), shared: Arc::new(shared) };
        scope.spawn("record use of keys", keys.clone().record_use(scope.stop.clone()));
        keys
    }

    /// The key of this digest, as it stood at most ten seconds ago; `None` where there is none.
    ///
    /// # Errors
    /// The database had to be asked and did not answer.
    pub(crate) async fn find(&self, hash: &KeyHash) -> Result<Option<Arc<KeyUse>>, Error> {
        // Before the look-up: what is revoked during it is seen in ten seconds from now.
        let now = Instant::now();
        if let Some((age, key)) = lock(&self.shared.known).get(hash, now) {
            return Ok(Some(aged(key, age)));
        }
        if lock(&self.shared.unknown).get(hash, now).is_some() {
            return Ok(None);
        }
        let found = self.database.find_key(hash).await?.map(Arc::new);
        match &found {
            Some(key) => {
                lock(&self.shared.known).insert(*hash, now, Arc::clone(key));
                if matches!(key.standing, KeyStanding::Good(_)) {
                    lock(&self.shared.used).insert(key.row);
                }
            }
            None => lock(&self.shared.unknown).insert(*hash, now, ()),
        }
        Ok(found)
    }

    /// Records when keys were last used, and once more at the stop.
    async fn record_use(self, stop: CancellationToken) {
        loop {
            let goes_on = stop.run_until_cancelled(tokio::time::sleep(RECORD_EVERY)).await.is_some();
            let used: Vec<_> = lock(&self.shared.used).drain().collect();
            if !used.is_empty()
                && let Err(error) = self.database.touch_keys(&used).await
            {
                let error = error.with_cause();
                tracing::warn!(outage = "database", error, "when keys were last used could not be recorded");
            }
            if !goes_on {
                return;
            }
        }
    }

    /// Says so where nobody can make a key. The database may be away: then it is asked until it answers.
    pub(crate) async fn warn_without_admin(self) {
        loop {
            match self.database.has_admin_key().await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(
                        "AUTH_REQUIRED=true and there is no admin key: nobody can make keys; set ADMIN_API_KEY to what `cargo xtask key` prints"
                    );
                    return;
                }
                Err(_) => tokio::time::sleep(ASK_AGAIN).await,
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key that was looked up so long ago: it may have expired since.
fn aged(key: Arc<KeyUse>, age: Duration) -> Arc<KeyUse> {
    match key.standing {
        KeyStanding::Good(Some(left)) if left <= age => {
            Arc::new(KeyUse { standing: KeyStanding::Expired, ..KeyUse::clone(&key) })
        }
        _ => key,
    }
}

/// What the database said, by digest, for as long as it counts.
struct Memory<T> {
    most: usize,
    entries: HashMap<KeyHash, (Instant, T)>,
}

impl<T: Clone> Memory<T> {
    fn new(most: usize) -> Self {
        Self { most, entries: HashMap::new() }
    }

    /// With its age.
    fn get(&self, hash: &KeyHash, now: Instant) -> Option<(Duration, T)> {
        let (since, value) = self.entries.get(hash)?;
        let age = now.saturating_duration_since(*since);
        (age < REMEMBERED_FOR).then(|| (age, value.clone()))
    }

    fn insert(&mut self, hash: KeyHash, since: Instant, value: T) {
        if self.entries.len() >= self.most && !self.entries.contains_key(&hash) {
            // With its room: garbage may never come again.
            self.entries = HashMap::new();
        }
        self.entries.insert(hash, (since, value));
    }
}

#[cfg(test)]
mod tests {
    use domain::{ApiKey, Grant, KeyKind, Owner, Scopes};
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn hash(seed: u64) -> KeyHash {
        ApiKey::generate(KeyKind::Tenant, &mut StdRng::seed_from_u64(seed)).hash()
    }

    #[test]
    fn what_is_remembered_ends_after_ten_seconds() {
        let (mut memory, start) = (Memory::new(10), Instant::now());
        memory.insert(hash(1), start, 7);
        let after = |seconds| memory.get(&hash(1), start + Duration::from_secs_f64(seconds));
        assert_eq!(after(9.9), Some((Duration::from_secs_f64(9.9), 7)));
        assert_eq!(after(10.0), None);
        assert_eq!(memory.get(&hash(2), start), None);
    }

    #[test]
    fn with_too_many_all_start_anew() {
        let (mut memory, now) = (Memory::new(3), Instant::now());
        for seed in 0..3 {
            memory.insert(hash(seed), now, ());
        }
        memory.insert(hash(0), now, ());
        assert_eq!(memory.entries.len(), 3, "a known one needs no room");
        memory.insert(hash(3), now, ());
        assert_eq!(memory.entries.len(), 1);
    }

    #[test]
    fn a_key_expires_while_it_is_remembered() {
        let standing = |left| {
            let grant = Grant::from_stored(Owner::Platform, Scopes::of(&[]));
            let key = KeyUse {
                row: 1,
                id: String::new(),
                grant,
                requests_per_second: None,
                standing: KeyStanding::Good(left),
            };
            aged(Arc::new(key), Duration::from_secs(5)).standing
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(standing(None), KeyStanding::Good(None));
        assert_eq!(standing(seconds(6)), KeyStanding::Good(seconds(6)));
        assert_eq!(standing(seconds(5)), KeyStanding::Expired);
    }
}
