//! Backpressure: new messages are refused while what was accepted before cannot be worked off in time. Looked at in the
//! background, never for a request; express and normal messages are judged apart.

pub(crate) mod latency;
pub(crate) mod signal;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use broker::{Broker, DepthWatch};
use domain::MessageType;
use persistence::{Database, Error, Lane};
use service_kit::Scope;
use telemetry::names::{self, label};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{error::ApiError, turns::Turns};
use latency::Latency;
use signal::{Signal, Thresholds, View, judge};

/// How often the signals are looked at: a refusal never rests on anything older.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The backlog is counted up to here, and at least to one more than the threshold.
const COUNT_UP_TO: u64 = 20_000;
/// How often published events are counted, and over which time.
const COUNT_DRAINED_EVERY: Duration = Duration::from_secs(1);
const DRAINED_WITHIN: Duration = Duration::from_secs(2);
/// Published events are counted up to here.
const DRAINED_UP_TO: u64 = 200_000;

/// The verdicts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Backpressure {
    /// For each lane 0, or one more than the place of the active signal in [`Signal::ALL`].
    active: Arc<[AtomicU8; 2]>,
    /// Requests in the database, by which the database's latency is judged.
    pub(crate) database: Latency,
    /// Requests to send.
    pub(crate) handler: Latency,
}

impl Backpressure {
    /// Looks at the signals on `scope` and moves `turns` on with the lanes.
    pub(crate) fn start(
        thresholds: Thresholds,
        database: &Database,
        broker: &Broker,
        turns: &Turns,
        scope: &Scope,
    ) -> Self {
        let backpressure = Self {
            active: Arc::default(),
            database: Latency::new(thresholds.database_latency),
            handler: Latency::new(thresholds.handler_latency),
        };
        let watcher = Watcher {
            thresholds,
            verdicts: backpressure.clone(),
            database: database.clone(),
            depths: broker.watch_depths(LOOK_EVERY),
            turns: turns.clone(),
        };
        scope.spawn_until_stopped("watch backpressure", watcher.run());
        backpressure
    }

    /// # Errors
    /// [`ApiError::Overloaded`] while a signal speaks against messages of this type.
    pub(crate) fn check(&self, kind: MessageType) -> Result<(), ApiError> {
        let lane = Lane::of(kind);
        let active = usize::from(self.active[place(lane)].load(Ordering::Relaxed));
        let Some(signal) = active.checked_sub(1).and_then(|place| Signal::ALL.get(place)) else { return Ok(()) };
        metrics::counter!(names::BACKPRESSURE_REJECTIONS_TOTAL).increment(1);
        let labels = [(label::SIGNAL, signal.as_str()), (label::LANE, lane.as_str())];
        metrics::counter!(names::BACKPRESSURE_SIGNAL_REJECTIONS_TOTAL, &labels).increment(1);
        Err(ApiError::Overloaded { signal: Some(*signal) })
    }

    /// Takes a verdict on; tells whether it is another one than before.
    fn set(&self, lane: Lane, signal: Option<Signal>) -> bool {
        let place_of = |signal| Signal::ALL.iter().position(|other| *other == signal).expect("ALL has them all");
        let active = signal.map_or(0, |signal| place_of(signal) + 1);
        let active = u8::try_from(active).expect("there are five signals");
        self.active[place(lane)].swap(active, Ordering::Relaxed) != active
    }
}

fn place(lane: Lane) -> usize {
    match lane {
        Lane::Express => 0,
        Lane::Normal => 1,
    }
}

struct Watcher {
    thresholds: Thresholds,
    verdicts: Backpressure,
    database: Database,
    depths: DepthWatch,
    turns: Turns,
}

/// What the watcher remembers of a lane.
#[derive(Debug, Default)]
struct Watched {
    view: View,
    /// Since when events have always been waiting, as far as was seen.
    busy_since: Option<Instant>,
    counted_drained: Option<Instant>,
}

impl Watcher {
    async fn run(self) {
        let mut watched = [Watched::default(), Watched::default()];
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (database_is_slow, handler_is_slow) = (self.verdicts.database.turn(), self.verdicts.handler.turn());
            for kind in MessageType::ALL {
                let lane = Lane::of(kind);
                let seen = &mut watched[place(lane)];
                // While the database is down what was last seen stands.
                if let Err(error) = self.look_at_outbox(lane, seen).await {
                    tracing::debug!(error = error.with_cause(), "the backlog could not be counted");
                }
                seen.view.queued = self.depths.latest().map(|depths| depths.of(kind));
                (seen.view.database_is_slow, seen.view.handler_is_slow) = (database_is_slow, handler_is_slow);
                self.decide(lane, &seen.view);
            }
            show_total(&watched);
        }
    }

    async fn look_at_outbox(&self, lane: Lane, seen: &mut Watched) -> Result<(), Error> {
        let most = self.thresholds.pending.map_or(COUNT_UP_TO, |threshold| COUNT_UP_TO.max(threshold + 1));
        seen.view.pending = self.database.pending_events(lane, most).await?;
        self.turns.move_to(lane, self.database.turn_of(lane).await?);
        let now = Instant::now();
        seen.busy_since = (seen.view.pending > 0).then(|| seen.busy_since.unwrap_or(now));
        if seen.counted_drained.is_none_or(|counted| now - counted >= COUNT_DRAINED_EVERY) {
            let drained = self.database.published_events(lane, DRAINED_WITHIN, DRAINED_UP_TO).await?;
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            let rate = drained as f64 / DRAINED_WITHIN.as_secs_f64();
            seen.counted_drained = Some(now);
            metrics::gauge!(names::OUTBOX_DRAIN_RATE, label::LANE => lane.as_str()).set(rate);
            // What is drained while nothing waits tells how much comes in, not how much could be drained.
            let was_busy = seen.busy_since.is_some_and(|since| now - since > DRAINED_WITHIN);
            seen.view.drained_per_second = was_busy.then_some(rate);
        }
        Ok(())
    }

    fn decide(&self, lane: Lane, view: &View) {
        let active = judge(&self.thresholds, view);
        let is_new = self.verdicts.set(lane, active);
        for signal in Signal::ALL {
            let labels = [(label::SIGNAL, signal.as_str()), (label::LANE, lane.as_str())];
            metrics::gauge!(names::BACKPRESSURE_ACTIVE, &labels).set(if active == Some(signal) { 1.0 } else { 0.0 });
        }
        let lane = lane.as_str();
        match active.filter(|_| is_new) {
            Some(signal) => {
                tracing::warn!(lane, signal = signal.as_str(), ?view, "new messages of this lane are refused for now");
            }
            None if is_new => tracing::info!(lane, "messages of this lane are accepted again"),
            None => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn show_total(watched: &[Watched; 2]) {
    for lane in Lane::ALL {
        let pending = watched[place(lane)].view.pending;
        metrics::gauge!(names::OUTBOX_PENDING_EVENTS, label::LANE => lane.as_str()).set(pending as f64);
    }
    let total: u64 = watched.iter().map(|seen| seen.view.pending).sum();
    metrics::gauge!(names::CURRENT_OUTBOX_PENDING_EVENTS).set(total as f64);
}
