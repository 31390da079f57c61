//! The few numbers that tests and unusual deployments change.

use std::time::Duration;

use domain::RetrySchedule;

/// Timeouts and bounds of a broker; [`Options::default`] is right for production.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shown by the broker's management tools beside each connection.
    pub client_name: String,
    /// How long a message may wait to be sent, and after that for its confirm (5 s each).
    pub confirm_timeout: Duration,
    /// Most publishes without a confirm at one time (2,000; 1 to 4,096). A larger batch is sent in slices.
    pub confirm_window: usize,
    /// Heartbeat in seconds (5; 2 to 10). A silent broker is given up after two.
    pub heartbeat: u16,
    /// How long one step of connecting may take (10 s).
    pub step_timeout: Duration,
    /// Waits between attempts to connect (200 ms doubled up to 5 s, with jitter, for ever).
    pub reconnect: RetrySchedule,
    /// In-process only: most messages in one queue (100,000). More are nacked, as with `reject-publish`.
    pub queue_capacity: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_name: "messaging".to_owned(),
            confirm_timeout: Duration::from_secs(5),
            confirm_window: 2_000,
            heartbeat: 5,
            step_timeout: Duration::from_secs(10),
            reconnect: RetrySchedule::endless(Duration::from_millis(200), Duration::from_secs(5)),
            queue_capacity: 100_000,
        }
    }
}

impl Options {
    /// amqprs queues 8,192 frames before a publish has to wait; staying well below, sending never blocks.
    pub(crate) fn window(&self) -> usize {
        self.confirm_window.clamp(1, 4_096)
    }

    /// amqprs sends one every half of it, in whole seconds: below 2 that is without a pause. A long one leaves a dead
    /// connection unnoticed.
    pub(crate) fn heartbeat(&self) -> u16 {
        self.heartbeat.clamp(2, 10)
    }
}
