//! Keeps the queues of the broker short: what waits there is served in the order it came, what waits in the outbox in
//! fair order. While the queue of a lane is long enough, nothing is claimed from that lane.

use std::time::Duration;

use broker::{Broker, DepthWatch, Topology};
use domain::{Lane, PerLane};
use service_kit::Scope;
use telemetry::names;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// How often the queues are measured: a worker empties a queue of the default length in no less.
const MEASURE_EVERY: Duration = Duration::from_millis(100);

/// Whether each lane may be claimed from. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    open: watch::Receiver<PerLane<bool>>,
}

impl Gate {
    /// Measures the queues on `scope`; claiming stops at `most` waiting messages, `None` for never.
    pub(crate) fn start(most: Option<u64>, broker: &Broker, scope: &Scope) -> Self {
        let (sender, open) = watch::channel(PerLane { express: true, normal: true });
        let depths = broker.watch_depths(MEASURE_EVERY);
        let topology = broker.topology().clone();
        scope.spawn_until_stopped("measure queues", run(most, depths, topology, sender));
        Self { open }
    }

    /// Resolves while there is room in the lane's queue; no more once the relay stops. Cancel safe.
    pub(crate) async fn open(&self, lane: Lane) {
        let is_open = self.open.clone().wait_for(|open| open[lane]).await.is_ok();
        if !is_open {
            // The sender ends with the relay only, and a queue that was full is not open for that.
            std::future::pending::<()>().await;
        }
    }
}

async fn run(most: Option<u64>, depths: DepthWatch, topology: Topology, open: watch::Sender<PerLane<bool>>) {
    let mut ticks = interval(MEASURE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = depths.latest();
        // A broker that cannot be asked takes no messages either: that is the publisher's to see.
        let next = PerLane::from_fn(|lane| now.zip(most).is_none_or(|(now, most)| now[lane] < most));
        open.send_if_modified(|open| std::mem::replace(open, next) != next);
        for lane in Lane::ALL {
            if let Some(now) = now {
                metrics::gauge!(names::QUEUE_MESSAGES, names::label::QUEUE => topology.queue(lane).to_owned())
                    .set(now[lane] as f64);
            }
            let is_paused = if next[lane] { 0.0 } else { 1.0 };
            metrics::gauge!(names::RELAY_PAUSED, names::label::LANE => lane.as_str()).set(is_paused);
        }
    }
}
