//! What tells that too much waits, and from where on: one pure rule for each signal.

use std::time::Duration;

use settings::{SettingError, Source};

/// What a refusal rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Too many events of the lane wait in the outbox.
    OutboxPending = 1,
    /// At the rate at which the lane is drained, what waits would take too long.
    OutboxDelay,
    /// Too many messages wait in the lane's queue of the broker.
    QueueDepth,
    /// The database takes long to accept messages.
    DatabaseLatency,
    /// Requests to send take long to be answered.
    HandlerLatency,
}

impl Signal {
    /// In the order in which they are asked.
    pub(crate) const ALL: [Self; 5] =
        [Self::OutboxPending, Self::OutboxDelay, Self::QueueDepth, Self::DatabaseLatency, Self::HandlerLatency];

    /// The name in metrics, logs and the header of a refusal.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OutboxPending => "outbox_pending",
            Self::OutboxDelay => "outbox_delay",
            Self::QueueDepth => "queue_depth",
            Self::DatabaseLatency => "database_latency",
            Self::HandlerLatency => "handler_latency",
        }
    }

    /// Its number, from 1 on.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The signal with this number.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.number() == number)
    }

    /// Whether it speaks against one more message.
    fn speaks(self, thresholds: &Thresholds, view: &View) -> bool {
        match self {
            Self::OutboxPending => thresholds.pending.is_some_and(|most| view.pending > most),
            Self::OutboxDelay => thresholds.max_delay.is_some_and(|most| delay_is_over(most, view)),
            Self::QueueDepth => thresholds.queue_depth.zip(view.queued).is_some_and(|(most, queued)| queued > most),
            Self::DatabaseLatency => view.database_is_slow,
            Self::HandlerLatency => view.handler_is_slow,
        }
    }
}

/// From where on each signal speaks; `None` where it is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Thresholds {
    /// `BACKPRESSURE_OUTBOX_PENDING_THRESHOLD` (10000): events of the lane that may wait in the outbox.
    pub pending: Option<u64>,
    /// `BACKPRESSURE_MAX_DELAY_SECS` (60): how long what waits may take at the rate of the last seconds.
    pub max_delay: Option<Duration>,
    /// `BACKPRESSURE_QUEUE_DEPTH_THRESHOLD` (50000): messages that may wait in the lane's queue.
    pub queue_depth: Option<u64>,
    /// `BACKPRESSURE_DATABASE_LATENCY_MS` (750): what most requests may take in the database.
    pub database_latency: Option<Duration>,
    /// `BACKPRESSURE_HANDLER_LATENCY_MS` (850): what most requests to send may take in all.
    pub handler_latency: Option<Duration>,
}

impl Thresholds {
    /// Reads `BACKPRESSURE_*`; all are off where `BACKPRESSURE_ENABLED` (true) is false. 0 switches each off but the
    /// first.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let seconds = |name, default| unless_zero(source.duration_secs(name, default, 0..=86_400));
        let milliseconds = |name, default| unless_zero(source.duration_ms(name, default, 0..=60_000));
        let thresholds = Self {
            pending: Some(source.integer("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", 10_000, 0..=1_000_000)?),
            max_delay: seconds("BACKPRESSURE_MAX_DELAY_SECS", 60)?,
            queue_depth: unless_zero(source.integer("BACKPRESSURE_QUEUE_DEPTH_THRESHOLD", 50_000, 0..=10_000_000))?,
            database_latency: milliseconds("BACKPRESSURE_DATABASE_LATENCY_MS", 750)?,
            handler_latency: milliseconds("BACKPRESSURE_HANDLER_LATENCY_MS", 850)?,
        };
        Ok(if source.boolean("BACKPRESSURE_ENABLED", true)? { thresholds } else { Self::default() })
    }
}

/// A threshold that 0 switches off.
fn unless_zero<T: Default + PartialEq>(threshold: Result<T, SettingError>) -> Result<Option<T>, SettingError> {
    Ok(Some(threshold?).filter(|threshold| *threshold != T::default()))
}

/// Fewer waiting events than this never speak of a delay: a relay takes that many in a moment.
const LEAST_BACKLOG: u64 = 1_000;

/// What is seen of one lane and of this process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View {
    /// Events that wait in the outbox.
    pub(crate) pending: u64,
    /// Events published a second, over a time in which some always waited; `None` where that cannot be told.
    pub(crate) drained_per_second: Option<f64>,
    /// Messages that wait in the queue; `None` while the broker cannot be asked.
    pub(crate) queued: Option<u64>,
    /// Whether most requests of the last second took long in the database.
    pub(crate) database_is_slow: bool,
    /// Whether most requests to send of the last second took long.
    pub(crate) handler_is_slow: bool,
}

/// The first signal that speaks against one more message.
pub(crate) fn judge(thresholds: &Thresholds, view: &View) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| signal.speaks(thresholds, view))
}

/// Where nothing is drained at all the relay or the broker is away: the outbox is there to bridge that, up to its
/// threshold, and no rate can be told.
fn delay_is_over(most: Duration, view: &View) -> bool {
    let drained = view.drained_per_second.filter(|rate| *rate > 0.0);
    view.pending >= LEAST_BACKLOG && drained.is_some_and(|rate| view.pending as f64 / rate > most.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_ON: Thresholds = Thresholds {
        pending: Some(10_000),
        max_delay: Some(Duration::from_mins(1)),
        queue_depth: Some(50_000),
        database_latency: Some(Duration::from_millis(750)),
        handler_latency: Some(Duration::from_millis(850)),
    };

    #[test]
    fn every_signal_in_a_table() {
        let calm = View { drained_per_second: Some(100.0), queued: Some(0), ..View::default() };
        let table = [
            (View { pending: 6_000, ..calm }, None),
            (View { pending: 6_001, ..calm }, Some(Signal::OutboxDelay)),
            (View { pending: 10_001, ..calm }, Some(Signal::OutboxPending)),
            (View { pending: 10_000, drained_per_second: Some(0.0), ..calm }, None),
            (View { pending: 10_000, drained_per_second: None, ..calm }, None),
            (View { pending: 999, drained_per_second: Some(0.1), ..calm }, None),
            (View { pending: 1_000, drained_per_second: Some(0.1), ..calm }, Some(Signal::OutboxDelay)),
            (View { queued: Some(50_000), ..calm }, None),
            (View { queued: Some(50_001), ..calm }, Some(Signal::QueueDepth)),
            (View { queued: None, ..calm }, None),
            (View { database_is_slow: true, handler_is_slow: true, ..calm }, Some(Signal::DatabaseLatency)),
            (View { handler_is_slow: true, ..calm }, Some(Signal::HandlerLatency)),
        ];
        for (view, signal) in table {
            assert_eq!(judge(&ALL_ON, &view), signal, "{view:?}");
        }
    }

    #[test]
    fn the_runbook_tells_what_each_signal_means() {
        let runbooks = include_str!("../../../../docs/runbooks.md");
        let (_, section) = runbooks.split_once("\n## BackpressureActive\n").expect("a section");
        let (section, _) = section.split_once("\n## ").expect("more sections");
        for signal in Signal::ALL {
            let name = format!("`{}`", signal.as_str());
            assert!(section.contains(&name), "docs/runbooks.md does not tell of {name}");
        }
    }

    #[test]
    fn what_is_switched_off_is_silent() {
        let flood =
            View { pending: 1_000_000, drained_per_second: Some(1.0), queued: Some(1_000_000), ..View::default() };
        assert_eq!(judge(&Thresholds::default(), &flood), None);
        let only_queue = Thresholds { queue_depth: Some(1), ..Thresholds::default() };
        assert_eq!(judge(&only_queue, &flood), Some(Signal::QueueDepth));
    }
}
