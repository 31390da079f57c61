//! Looks at what waits for relay and worker, in the background and never for a request. Backpressure judges by how much
//! it is, and new messages line up behind the lowest turn of it.

use std::time::Duration;

use broker::{Broker, DepthWatch};
use domain::{Lane, PerLane};
use persistence::{Database, Error};
use service_kit::Scope;
use telemetry::names::{self, label};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    backpressure::{Backpressure, signal::View},
    turns::Turns,
};

/// How often it looks: a refusal never rests on anything older.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The backlog is counted up to here, and at least to one more than the threshold.
const COUNT_UP_TO: u64 = 20_000;
/// How often published events are counted, and over which time.
const COUNT_DRAINED_EVERY: Duration = Duration::from_secs(1);
const DRAINED_WITHIN: Duration = Duration::from_secs(2);
/// Published events are counted up to here.
const DRAINED_UP_TO: u64 = 200_000;

/// Looks on `scope`, has `backpressure` judge what it sees, and moves `turns` on with the lanes.
pub(crate) fn watch(database: &Database, broker: &Broker, backpressure: &Backpressure, turns: &Turns, scope: &Scope) {
    let watcher = Watcher {
        database: database.clone(),
        depths: broker.watch_depths(LOOK_EVERY),
        backpressure: backpressure.clone(),
        turns: turns.clone(),
    };
    scope.spawn_until_stopped("watch backpressure", watcher.run());
}

struct Watcher {
    database: Database,
    depths: DepthWatch,
    backpressure: Backpressure,
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
        let mut watched = PerLane::<Watched>::default();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let database_is_slow = self.backpressure.database_latency.rotate();
            let handler_is_slow = self.backpressure.handler_latency.rotate();
            for lane in Lane::ALL {
                let seen = &mut watched[lane];
                // While the database is down what was last seen stands.
                if let Err(error) = self.look_at_outbox(lane, seen).await {
                    tracing::debug!(error = error.with_cause(), "the backlog could not be counted");
                }
                seen.view.queued = self.depths.latest().map(|depths| depths[lane]);
                (seen.view.database_is_slow, seen.view.handler_is_slow) = (database_is_slow, handler_is_slow);
                self.backpressure.judge(lane, &seen.view);
            }
            show_total(&watched);
        }
    }

    async fn look_at_outbox(&self, lane: Lane, seen: &mut Watched) -> Result<(), Error> {
        let threshold = self.backpressure.thresholds.pending;
        let most = threshold.map_or(COUNT_UP_TO, |threshold| COUNT_UP_TO.max(threshold + 1));
        seen.view.pending = self.database.pending_events(lane, most).await?;
        self.turns.move_to(lane, self.database.turn_of(lane).await?);
        let now = Instant::now();
        seen.busy_since = (seen.view.pending > 0).then(|| seen.busy_since.unwrap_or(now));
        if seen.counted_drained.is_none_or(|counted| now - counted >= COUNT_DRAINED_EVERY) {
            let drained = self.database.published_events(lane, DRAINED_WITHIN, DRAINED_UP_TO).await?;
            let rate = drained as f64 / DRAINED_WITHIN.as_secs_f64();
            seen.counted_drained = Some(now);
            metrics::gauge!(names::OUTBOX_DRAIN_RATE, label::LANE => lane.as_str()).set(rate);
            // What is drained while nothing waits tells how much comes in, not how much could be drained.
            let was_busy = seen.busy_since.is_some_and(|since| now - since > DRAINED_WITHIN);
            seen.view.drained_per_second = was_busy.then_some(rate);
        }
        Ok(())
    }
}

fn show_total(watched: &PerLane<Watched>) {
    for lane in Lane::ALL {
        let pending = watched[lane].view.pending;
        metrics::gauge!(names::OUTBOX_PENDING_EVENTS, label::LANE => lane.as_str()).set(pending as f64);
    }
    let total: u64 = watched.iter().map(|seen| seen.view.pending).sum();
    metrics::gauge!(names::CURRENT_OUTBOX_PENDING_EVENTS).set(total as f64);
}
