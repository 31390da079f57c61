//! Backpressure: new messages are refused while what was accepted before cannot be worked off in time. Express and
//! normal messages are judged apart.

pub(crate) mod latency;
pub(crate) mod signal;

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use domain::{Lane, MessageType, PerLane};
use telemetry::names::{self, label};

use crate::error::ApiError;
use latency::Latency;
use signal::{Signal, Thresholds, View, judge};

/// The verdicts, and what takes part in them here. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Backpressure {
    pub(crate) thresholds: Thresholds,
    /// For each lane 0, or the number of the active signal.
    active: Arc<PerLane<AtomicU8>>,
    /// How long requests take in the database.
    pub(crate) database_latency: Latency,
    /// How long requests to send take in all.
    pub(crate) handler_latency: Latency,
}

impl Backpressure {
    /// Nothing speaks against any message before [`judge`](Self::judge) is told what waits.
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            active: Arc::default(),
            database_latency: Latency::new(thresholds.database_latency),
            handler_latency: Latency::new(thresholds.handler_latency),
        }
    }

    /// # Errors
    /// [`ApiError::Overloaded`] while a signal speaks against messages of this type.
    pub(crate) fn check(&self, kind: MessageType) -> Result<(), ApiError> {
        let lane = Lane::of(kind);
        let Some(signal) = Signal::numbered(self.active[lane].load(Ordering::Relaxed)) else { return Ok(()) };
        metrics::counter!(names::BACKPRESSURE_REJECTIONS_TOTAL).increment(1);
        let labels = [(label::SIGNAL, signal.as_str()), (label::LANE, lane.as_str())];
        metrics::counter!(names::BACKPRESSURE_SIGNAL_REJECTIONS_TOTAL, &labels).increment(1);
        Err(ApiError::Overloaded { signal: Some(signal) })
    }

    /// Judges a lane by what is seen of it; the verdict stands until the next.
    pub(crate) fn judge(&self, lane: Lane, view: &View) {
        let active = judge(&self.thresholds, view);
        let number = active.map_or(0, Signal::number);
        let is_new = self.active[lane].swap(number, Ordering::Relaxed) != number;
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
