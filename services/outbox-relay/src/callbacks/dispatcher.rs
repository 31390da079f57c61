//! Claims what is due, has it sent, and records what became of it: one task that holds all that is under way.

use std::{collections::HashMap, time::Duration};

use persistence::{CallbackRecord, Database, DueEndpoint, Error};
use rand::RngExt as _;
use telemetry::names;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{room::Room, send::Sender};
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
    under_way: JoinSet<CallbackRecord>,
    /// What has ended and is to be recorded; it has its room until then.
    ended: Vec<CallbackRecord>,
    /// The last endpoint of the last look.
    looked_at: i64,
}

impl Dispatcher {
    pub(super) fn new(database: Database, sender: Sender) -> Self {
        let (room, under_way) = (Room::default(), JoinSet::new());
        Self { database, sender, room, under_way, ended: Vec::new(), looked_at: 0 }
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
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.under_way.join_next(), if !self.under_way.is_empty() => {
                    self.note(ended);
                    // There is room again, for which something may wait.
                    look_at = look_at.min(Instant::now() + BUSY);
                }
                () = sleep_until(look_at) => {}
            }
        }
        while let Some(ended) = self.under_way.join_next().await {
            self.note(ended);
        }
        report("recording callbacks", self.record().await);
    }

    /// A task that panicked leaves its event to the sweeper, and its room taken: it says so in the log.
    fn note(&mut self, ended: Result<CallbackRecord, tokio::task::JoinError>) {
        match ended {
            Ok(record) => self.ended.push(record),
            Err(error) => tracing::error!(%error, "a callback was not sent to its end"),
        }
    }

    /// Records all that has ended. What the database does not take now is kept for the next time.
    async fn record(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.under_way.try_join_next() {
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
        let began_at = std::mem::replace(&mut self.looked_at, due.last().map_or(0, |endpoint| endpoint.row));
        if is_last_page {
            self.looked_at = 0;
        }
        let (mut wanted, mut left) = (Vec::new(), super::room::IN_ALL);
        for endpoint in &due {
            let room = self.room.for_endpoint(endpoint, now).min(left);
            if room > 0 {
                left -= room;
                wanted.push((endpoint.row, room));
            }
        }
        let claimed = self.database.claim_callbacks(&wanted, LEASE).await?;
        let endpoints: HashMap<i64, &DueEndpoint> = due.iter().map(|endpoint| (endpoint.row, endpoint)).collect();
        let mut of_each: HashMap<i64, usize> = HashMap::new();
        for event in claimed {
            let Some(endpoint) = endpoints.get(&event.endpoint) else { continue };
            *of_each.entry(event.endpoint).or_default() += 1;
            self.room.take(event.endpoint);
            self.under_way.spawn(self.sender.clone().attempt((*endpoint).clone(), event));
        }
        let has_more = wanted.iter().any(|(row, room)| of_each.get(row) == Some(room));
        Ok(!is_last_page || began_at > 0 || has_more)
    }
}
