//! The schema: made ready at the start, waited for, and watched while the process runs. While it does not fit, no operation begins.

use std::time::Duration;

use domain::RetrySchedule;
use migrations::Fit;
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, sleep};

use super::{Database, Error, Query, StepError, database::Schema, transaction::Tries};

/// Pauses until the schema fits.
const PAUSES: RetrySchedule = RetrySchedule::endless(Duration::from_millis(200), Duration::from_secs(5));
/// How often a process that works looks whether the schema still fits: as late it notices a newer release's change.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the same reason to wait is logged.
const SAY_EVERY: Duration = Duration::from_mins(5);

impl Database {
    /// Brings the schema up to date, and lets operations begin. Safe when several processes start at once.
    ///
    /// # Errors
    /// [`Error::Schema`] where a newer release has gone further than this one can follow.
    pub async fn migrate(&self) -> Result<(), Error> {
        let doing = "migrating the schema";
        let migrated = migrations::up(self.url().expose_secret()).await;
        migrated.map_err(|error| match error {
            migrations::Error::Database(error) => StepError::from(error).into_error(doing),
            error => Error::Schema { doing, reason: error.to_string() },
        })?;
        self.assume_migrated();
        Ok(())
    }

    /// Waits until the schema has what this release needs, however long it takes, and watches it from then on: while a newer
    /// release's change forbids this one to go on, or something is missing, operations are [`Error::Unavailable`].
    ///
    /// With `migrate` it brings the schema up to date itself, once, at the start; without, somebody else does. Never returns.
    pub async fn prepare(self, migrate: bool) {
        let (mut migrate, mut retry, mut said) = (migrate, 0, Said::default());
        loop {
            match self.trouble(migrate).await {
                None => said.ready(),
                Some(reason) => said.waiting(reason),
            }
            let pause = if self.is_migrated() {
                // Once only: who takes a change back by hand means it.
                (migrate, retry) = (false, 0);
                LOOK_EVERY
            } else {
                retry += 1;
                PAUSES.delay(retry, &mut rand::rng()).unwrap_or(LOOK_EVERY)
            };
            sleep(pause).await;
        }
    }

    /// Looks at the schema, and migrates it where that is wanted and needed; why it cannot be worked on now.
    async fn trouble(&self, migrate: bool) -> Option<String> {
        let looking = Box::pin(async {
            let mut tries = Tries::new(self);
            loop {
                let session = tries.take().await?;
                let fit = migrations::inspect(&session).await.map_err(StepError::from);
                if let Some(fit) = tries.finish_reading(session, fit).await? {
                    return Ok(fit);
                }
            }
        });
        let looked = self.measured(Query::Schema, looking).await;
        self.note(&looked);
        match looked {
            Ok(Fit::Fits) => None,
            Ok(Fit::Missing(_)) if migrate => self.migrate().await.err().map(|error| error.with_cause()),
            Ok(Fit::Missing(changes)) => Some(format!(
                "the schema lacks {}: run `migrate up` of this release, or set AUTO_MIGRATE=true",
                changes.join(", ")
            )),
            Ok(Fit::TooNew(by)) => Some(migrations::Error::TooNew { by }.to_string()),
            // A pool only says that time is up: the server itself says why.
            Err(error) => Some(self.reach().await.err().unwrap_or(error).with_cause()),
        }
    }

    fn note(&self, looked: &Result<Fit, Error>) {
        let schema = match looked {
            Ok(Fit::Fits) => Schema::Fits,
            Ok(Fit::Missing(_)) => Schema::Missing,
            Ok(Fit::TooNew(_)) => Schema::TooNew,
            // A database that is away takes no schema with it: operations themselves tell that it is away.
            Err(_) if self.is_migrated() => return,
            Err(_) => Schema::Unknown,
        };
        self.schema().send_replace(schema);
    }

    /// Lets operations begin on a schema that somebody else keeps up to date.
    pub fn assume_migrated(&self) {
        self.schema().send_replace(Schema::Fits);
    }

    /// Resolves once the schema is known to fit, so that background work need not begin with errors. Cancel safe.
    pub async fn migrated(&self) {
        self.wait_for(|schema| schema == Schema::Fits).await;
    }

    /// Resolves when the schema does not fit any more: what was taken to work on had better be left to others. Cancel safe.
    pub async fn outdated(&self) {
        self.wait_for(|schema| schema != Schema::Fits).await;
    }

    async fn wait_for(&self, wanted: impl Fn(Schema) -> bool) {
        let mut schema = self.schema().subscribe();
        schema.wait_for(|schema| wanted(*schema)).await.expect("this handle keeps the sender alive");
    }
}

/// What was logged last: the same is not said again at every try.
#[derive(Default)]
struct Said {
    last: Option<(String, Instant)>,
    is_ready: bool,
}

impl Said {
    fn waiting(&mut self, reason: String) {
        let is_old = |(last, at): &(String, Instant)| *last != reason || at.elapsed() >= SAY_EVERY;
        if self.last.as_ref().is_none_or(is_old) {
            tracing::warn!(outage = "database", reason, "waiting for the database");
            self.last = Some((reason, Instant::now()));
        }
        self.is_ready = false;
    }

    fn ready(&mut self) {
        if !self.is_ready {
            tracing::info!("the database is ready");
        }
        *self = Self { last: None, is_ready: true };
    }
}
