//! Claims what is due, has it sent, and records what became of it: one task that holds all that is under way.

use std::{collections::HashMap, time::Duration};

use persistence::{CallbackRecord, Database, DueEndpoint, Error};
use rand::RngExt as _;
use telemetry::names;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    room::{Room, Share},
    send::Sender,
    under_way::{Ended, UnderWay},
};
use crate::sweeper::report;

/// How long a claim holds: four times what an attempt may take.
const LEASE: Duration = Duration::from_mins(1);
/// How often it is looked for what is due.
const IDLE: Duration = Duration::from_millis(500);
/// The same while more is due than was claimed.
const BUSY: Duration = Duration::from_millis(20);
/// Endpoints that one look gives.
const ENDPOINTS: u64 = 256;
/// Attempts that one transaction records.
const RECORDED_TOGETHER: usize = 64;

pub(super) struct Dispatcher {
    database: Database,
    sender: Sender,
    room: Room,
    under_way: UnderWay<CallbackRecord>,
    /// What has ended and is to be recorded; it has its room until then.
    ended: Vec<CallbackRecord>,
    /// The last endpoint that had its turn; 0 after the last one of all.
    looked_at: i64,
    /// When an endpoint of that look may be sent more that has reached its own limit.
    limited_until: Option<Instant>,
}

impl Dispatcher {
    pub(super) fn new(database: Database, sender: Sender) -> Self {
        let (room, under_way) = (Room::default(), UnderWay::new());
        Self { database, sender, room, under_way, ended: Vec::new(), looked_at: 0, limited_until: None }
    }

    /// Until `stop`; then what is under way is waited for and recorded.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut look_at = Instant::now();
        while !stop.is_cancelled() {
            if stop.run_until_cancelled(self.database.migrated()).await.is_none() {
                break;
            }
            report("recording callbacks", self.record().await);
            let now = Instant::now();
            if now >= look_at {
                let claimed = self.claim(now).await;
                let is_busy = matches!(claimed, Ok(true)) && !self.room.is_full();
                report("claiming callbacks", claimed.map(drop));
                // Replicas must not look all at once.
                look_at = now + if is_busy { BUSY } else { IDLE.mul_f64(rand::rng().random_range(0.7..=1.0)) };
                look_at = self.limited_until.take().map_or(look_at, |until| look_at.min(until));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.note(ended);
                    // There is room again, for which something may wait.
                    look_at = look_at.min(Instant::now() + BUSY);
                }
                () = sleep_until(look_at) => {}
            }
        }
        while let Some(ended) = self.under_way.next().await {
            self.note(ended);
        }
        report("recording callbacks", self.record().await);
    }

    /// One that panicked leaves its event to the sweeper.
    fn note(&mut self, ended: Ended<CallbackRecord>) {
        match ended {
            Ok(record) => self.ended.push(record),
            Err(endpoint) => self.room.free(endpoint),
        }
    }

    /// Records all that has ended. What the database does not take now is kept for the next time.
    async fn record(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.under_way.try_next() {
            self.note(ended);
        }
        while !self.ended.is_empty() {
            let count = self.ended.len().min(RECORDED_TOGETHER);
            let recorded = self.database.record_callbacks(&self.ended[..count]).await?;
            for record in self.ended.drain(..count) {
                self.room.free(record.claimed.endpoint);
            }
            for endpoint in &recorded.disabled {
                tracing::warn!(endpoint, "an endpoint took nothing for days or is gone; it is told nothing any more");
            }
            metrics::counter!(names::CALLBACK_ENDPOINTS_PAUSED_TOTAL).increment(recorded.paused);
            metrics::counter!(names::CALLBACK_ENDPOINTS_DISABLED_TOTAL).increment(recorded.disabled.len() as u64);
        }
        Ok(())
    }

    /// Claims for each endpoint what there is room for, and has it sent. Tells whether more may be due than was claimed.
    async fn claim(&mut self, now: Instant) -> Result<bool, Error> {
        self.room.forget_quiet(now);
        if self.room.is_full() {
            return Ok(false);
        }
        let due = self.database.due_endpoints(self.looked_at, ENDPOINTS).await?;
        let is_last_page = (due.len() as u64) < ENDPOINTS;
        let Share { wanted, stopped_at, limited_until } = self.room.share(&due, now);
        self.limited_until = limited_until;
        let goes_on_at = stopped_at.or_else(|| due.last().filter(|_| !is_last_page).map(|endpoint| endpoint.row));
        let began_at = std::mem::replace(&mut self.looked_at, goes_on_at.unwrap_or(0));
        let claimed = self.database.claim_callbacks(&wanted, LEASE).await?;
        let endpoints: HashMap<i64, &DueEndpoint> = due.iter().map(|endpoint| (endpoint.row, endpoint)).collect();
        let mut of_each: HashMap<i64, usize> = HashMap::new();
        for event in claimed {
            let Some(endpoint) = endpoints.get(&event.endpoint) else { continue };
            *of_each.entry(event.endpoint).or_default() += 1;
            self.room.take(event.endpoint, Instant::now());
            self.under_way.spawn(event.endpoint, self.sender.clone().attempt((*endpoint).clone(), event));
        }
        let has_more = wanted.iter().any(|(row, room)| of_each.get(row) == Some(room));
        Ok(self.looked_at > 0 || began_at > 0 || has_more)
    }
}
